# shellcheck shell=bash disable=SC2034 # the lists are for the scripts that source this
# packages.sh: the Debian packages that building and testing need, in one place. Sourced by demo and check.
# As root it installs what is missing; otherwise through sudo.

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev libsqlite3-dev
	libnl-3-dev libcap-dev libjansson-dev libarchive-dev libnftables-dev libseccomp-dev libssl-dev
	zlib1g-dev libzstd-dev liblzma-dev)
RUN_PACKAGES=(iproute2 nftables iptables sqlite3 util-linux procps)
TEST_PACKAGES=(clang clang-tidy clang-format libclang-rt-14-dev libcmocka-dev bats criu jq shellcheck python3
	man-db protobuf-compiler python3-protobuf socat conntrack git debootstrap
	valgrind)

# need_packages NAME...: install those that are not there.
need_packages() {
	local p missing=()
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	echo "installing: ${missing[*]}"
	local sudo=()
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || { echo "not root and no sudo: install these packages: ${missing[*]}" >&2; return 1; }
		sudo=(sudo)
	fi
	# a mirror that does not answer or is just being updated is asked again, a lock of another apt is waited for
	for p in 1 2 3 4 5; do
		[ "$p" = 1 ] || { echo "installing: again in 15 s" >&2; sleep 15; }
		"${sudo[@]}" apt-get update -qq -o DPkg::Lock::Timeout=300 &&
			"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=300 \
				--no-install-recommends "${missing[@]}" >/dev/null && return 0
	done
	return 1
}
