/* task.h: the tasks of a dump and what they hold, as far as it matters to the network.
 *
 * Owns:  the list of tasks with their threads and descriptors, and which open file got which file_entry.id.
 * Never: writes images (task_img.h does) or reads options (sk.h does).
 * Order: tasks_read (the tasks stand still), then tasks_sockets.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/u64map.h"
#include "dumper/dump.h"
#include "dumper/proc.h"
#include "proto/img.h"

struct task_thread {
	pid_t tid;
	char comm[16];
	struct dump_netns *netns;
};

/* One descriptor that the image keeps: a socket, an nsfs file, a tun file. type is CRIU's fd_types. */
struct task_fd {
	int fd;
	uint32_t file_id, type;
	bool cloexec;
};

struct task {
	pid_t pid;
	pid_t via; /* the thread that /proc and pidfd_open(2) are asked for: pid, unless that one has ended */
	bool is_thread; /* a thread with a descriptor table of its own, which is a task of its own in the image */
	struct proc_stat stat;
	uint64_t sig_blocked;
	uint32_t personality;
	struct dump_netns *netns; /* of the leader */
	struct dump_userns *userns;
	ino_t mntns_ino;   /* 0: it cannot be looked at */
	uint32_t mntns;    /* mount namespaces from 1 on, in the order of the tasks; 0: not known */
	uint32_t files_id; /* tasks that share a descriptor table share the number */
	bool owns_files;   /* the first task with this files_id: has the list */
	struct task_thread *threads; /* all but the leader */
	size_t n_threads;
	struct task_fd *fds;
	size_t n_fds;
};

struct tasks {
	struct task *all;
	size_t n;
	struct u64map files; /* socket inode -> file_entry.id */
	size_t n_sockets;
};

/* Read the processes of list. A process that has ended meanwhile is left out. */
int tasks_read(struct tasks *ts, struct dump *d, const struct pid_list *list, struct err *e);

/* Walk the descriptors of every task: sockets through sk_dump and tun files through tun_dump into files and
 * others, nsfs files into files. New namespaces turn up in d. */
int tasks_dump_fds(struct tasks *ts, struct dump *d, struct img_writer *files,
		   struct img_writer *others, struct err *e);

void tasks_free(struct tasks *ts);
