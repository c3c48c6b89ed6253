#!/usr/bin/env bash
# Which folder may include what (README.md, "Layers"), and the libraries that only one place may see.
cd "$(dirname "$0")/../.." || exit 2
bad=0
say() { echo "$1"; bad=1; }

# FOLDER: the folders whose headers it may include
allow() {
	local folder=$1 list="$1 $2" inc file
	while IFS=: read -r file _ inc; do
		inc=${inc#*\"}
		inc=${inc%%/*}
		[[ " base proto dumper imgdb inspect restorer " == *" $inc "* ]] || continue
		[[ " $list " == *" $inc "* ]] || say "$file includes $inc/, which is not below $folder/"
	done < <(git ls-files "$folder/*.c" "$folder/*.h" | xargs grep -nH '^#include "[a-z]*/' /dev/null)
}
allow base ""
allow proto "base"
allow dumper "base proto"
allow imgdb "base proto"
allow inspect "base proto imgdb"
allow restorer "base proto imgdb"

# PATTERN, the paths that may have it, what to say
only() {
	local file
	while read -r file; do
		[[ $file =~ ^($2)$ ]] || say "$file: $3"
	done < <(git ls-files '*.c' '*.h' ':!tests' | xargs grep -lE "$1" /dev/null)
}
only '#include <sqlite3.h>' 'imgdb/.*' "sqlite3.h is only for imgdb/"
only '#include .*\.pb-c\.h' '(proto|dumper|imgdb)/.*' "generated messages are only for proto/, dumper/, imgdb/"
only '#include <jansson.h>' 'base/json\.c' "jansson is only for base/json.c"
only '#include <nftables/' 'base/nft\.c' "libnftables is only for base/nft.c"
only '#include <openssl/' 'base/hash\.c' "libcrypto is only for base/hash.c"
only '(^|[^a-z_])socket\((AF|PF)_NETLINK' 'base/nl\.c' "netlink sockets are opened by base/nl.c"
only 'nl_socket_alloc|nl_connect' 'base/nl\.c' "netlink sockets are opened by base/nl.c"
only '(^|[^a-z_])setns\([^)]*CLONE_NEWNET' 'base/ns\.c' "setns for network namespaces is only in base/ns.c"
only '(^|[^a-z_])unshare\([^)]*CLONE_NEWNET' 'base/ns\.c' "unshare for network namespaces is only in base/ns.c"
only '(^|[^a-z_])system\(|(^|[^a-z_])popen\(' '-' "nothing is run through a shell"
only '#include "inspect/edit/' 'inspect/(edit|check)/.*' "what edits is only for inspect/edit/ and the repairs of check"
only "$PWD/" '-' "the path of a checkout on one machine"
exit $bad
