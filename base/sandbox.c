#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A sanitized build reads /proc/self and traces itself to look for leaks at its end. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- files: Landlock ---- */

/* From the kernel's documentation (userspace-api/landlock): the headers of the oldest system we build on
 * do not know all of them. The comments tell the version of the interface that brought a right. */
enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_SYM = 1 << 12,
	FS_ALL_V1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,     /* 2 */
	FS_TRUNCATE = 1 << 14,  /* 3 */
	FS_IOCTL_DEV = 1 << 15, /* 5 */
	NET_BIND_CONNECT = 3,   /* 4 */
	SCOPE_SIGNAL = 1 << 1,  /* 6 */

	FS_READ = FS_READ_FILE | FS_READ_DIR,
	FS_WRITE = FS_READ | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE |
		   FS_MAKE_DIR | FS_MAKE_REG | FS_REFER,
	FS_ON_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,

	RULE_PATH_BENEATH = 1,
	CREATE_RULESET_VERSION = 1,
};

struct landlock_ruleset {
	uint64_t fs, net, scoped;
};

struct landlock_path {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* Numbers since Linux 5.13, the same on every architecture. */
enum { NR_CREATE_RULESET = 444, NR_ADD_RULE = 445, NR_RESTRICT_SELF = 446 };

/* What libraries open by themselves: time zones, locales and character sets (gconv), what the loader maps
 * for them, the names of users, the settings of OpenSSL. */
static const char *const read_always[] = {
	"/usr/lib",       "/usr/lib64",          "/lib",
	"/lib64",         "/usr/share/zoneinfo", "/usr/share/locale",
	"/etc/localtime", "/etc/ld.so.cache",    "/etc/nsswitch.conf",
	"/etc/passwd",    "/etc/services",       "/etc/ssl/openssl.cnf",
	"/dev/null",      "/dev/zero",           "/dev/urandom",
	"/dev/random",
};

/* Beyond that, what a program needs that we run. */
static const char *const exec_always[] = {"/usr",
					  "/bin",
					  "/lib",
					  "/lib64",
					  "/etc/alternatives",
					  "/etc/fonts",
					  "/var/cache/fontconfig"};

int sandbox_landlock_abi(void)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, (size_t)0, CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t fs_handled(int abi)
{
	uint64_t fs = FS_ALL_V1;

	fs |= abi >= 2 ? FS_REFER : 0;
	fs |= abi >= 3 ? FS_TRUNCATE : 0;
	fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
	return fs;
}

/* A path that is not there, or that we may not even look at, is passed over: opening it later fails in the
 * words of the command. */
static int path_allow(int ruleset, const char *path, uint64_t rights, struct err *e)
{
	auto_close int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path rule = {.allowed = rights, .parent_fd = fd};
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st))
		return err_sys(e, ERR_IO, "stat %s", path);
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= FS_ON_FILES;
	/* EBADFD: a pipe, as of /dev/stdin and <(...), which is outside of every hierarchy and may be opened anyway */
	if (syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) && errno != EBADFD)
		return err_sys(e, ERR_KERNEL, "limit access to files (landlock): %s", path);
	return 0;
}

static int paths_allow_all(int ruleset, const char *const *paths, size_t n, uint64_t rights,
			   struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (path_allow(ruleset, paths[i], rights, e))
			return -1;
	return 0;
}

static int files_limit(const struct sandbox_path *paths, size_t n, unsigned flags, struct err *e)
{
	int abi = sandbox_landlock_abi();
	struct landlock_ruleset rules = {fs_handled(abi), NET_BIND_CONNECT, SCOPE_SIGNAL};
	/* a kernel refuses (E2BIG) members that it does not know */
	size_t size = abi < 4 ? sizeof(rules.fs) : abi < 6 ? 2 * sizeof(rules.fs) : sizeof(rules);
	auto_close int ruleset = -1;
	static const char *const proc[] = {"/proc"};
	static const uint64_t rights[] = {
		[SANDBOX_READ] = FS_READ,
		[SANDBOX_WRITE] = FS_WRITE,
		[SANDBOX_WRITE_LINKS] = FS_WRITE | FS_MAKE_FIFO | FS_MAKE_SYM,
	};

	if (!abi)
		return 0;
	ruleset = (int)syscall(NR_CREATE_RULESET, &rules, size, 0);
	if (ruleset < 0)
		return err_sys(e, ERR_KERNEL, "limit access to files (landlock)");
	for (size_t i = 0; i < n; i++) {
		if (path_allow(ruleset, paths[i].path, rights[paths[i].access] & rules.fs, e))
			return -1;
	}
	if (paths_allow_all(ruleset, read_always, ARRAY_SIZE(read_always), FS_READ, e) ||
	    (SANITIZED && paths_allow_all(ruleset, proc, 1, FS_READ, e)) ||
	    ((flags & SANDBOX_EXEC) &&
	     paths_allow_all(ruleset, exec_always, ARRAY_SIZE(exec_always), FS_READ | FS_EXECUTE,
			     e)))
		return -1;
	if (syscall(NR_RESTRICT_SELF, ruleset, 0))
		return err_sys(e, ERR_KERNEL, "limit access to files (landlock)");
	return 0;
}

/* ---- system calls: seccomp ---- */

/* Refused with EPERM rather than by ending the process: a library that only tries goes on without. */
static const char *const denied[] = {
	/* the network */
	"socket",
	"connect",
	"bind",
	"listen",
	"accept",
	"accept4",
	"sendto",
	"sendmsg",
	"sendmmsg",
	/* other processes */
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"pidfd_getfd",
	"pidfd_send_signal",
	"kill",
	"kcmp",
	"process_madvise",
	/* mounts and namespaces */
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"setns",
	"unshare",
	"open_by_handle_at",
	"quotactl",
	/* the kernel and the machine */
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"syslog",
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"sethostname",
	"setdomainname",
	"iopl",
	"ioperm",
	"add_key",
	"request_key",
	"keyctl",
	"vhangup",
	/* getting rights back */
	"capset",
	"setuid",
	"setgid",
	"setreuid",
	"setregid",
	"setresuid",
	"setresgid",
	"setgroups",
	"mknod",
};

/* Only where no other program is run. */
static const char *const denied_exec[] = {"execve", "execveat"};

/* What the sanitizer's search for leaks needs. */
static bool is_sanitizers(const char *name)
{
	return SANITIZED && (!strcmp(name, "ptrace") || !strcmp(name, "kill"));
}

static int calls_deny(scmp_filter_ctx ctx, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		int r = 0;

		if (nr != __NR_SCMP_ERROR && !is_sanitizers(names[i]))
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
		if (r)
			return r;
	}
	return 0;
}

/* Calls that are refused for some arguments. */
static int arguments_deny(scmp_filter_ctx ctx)
{
	static const uint64_t namespaces[] = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
					      CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
					      CLONE_NEWNET};
	/* all but a fifo (mknod(2)) */
	static const uint64_t files[] = {0, S_IFREG, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFDIR, S_IFLNK};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(files); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mknodat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, files[i]));
	for (size_t i = 0; !r && i < ARRAY_SIZE(namespaces); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	/* its flags lie in memory, where a filter cannot look; glibc falls back to clone */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* words put into the terminal would be read by the shell after us; the kernel looks at 32 bits */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	return r;
}

static int calls_limit(unsigned flags, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return err_set(e, ERR_NOMEM, "limit system calls (seccomp)");
	/* the kernel's own answer instead of ECANCELED */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (!r)
		r = calls_deny(ctx, denied, ARRAY_SIZE(denied));
	if (!r && !(flags & SANDBOX_EXEC))
		r = calls_deny(ctx, denied_exec, ARRAY_SIZE(denied_exec));
	if (!r)
		r = arguments_deny(ctx);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	/* a kernel without filters: CONFIG_SECCOMP_FILTER */
	if (!r || r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP)
		return 0;
	errno = -r;
	return err_sys(e, ERR_KERNEL, "limit system calls (seccomp)");
}

int sandbox_enter(const struct sandbox_path *paths, size_t n, unsigned flags, struct err *e)
{
	/* both walls ask for it, and a set-user-id program gains nothing any more */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(e, ERR_KERNEL, "give up new privileges");
	if (files_limit(paths, n, flags, e))
		return -1;
	return calls_limit(flags, e);
}
