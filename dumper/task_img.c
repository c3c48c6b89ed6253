#include "dumper/task_img.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "criu/core.pb-c.h"
#include "criu/fdinfo.pb-c.h"
#include "criu/inventory.pb-c.h"
#include "criu/nsimg.pb-c.h"
#include "criu/pstree.pb-c.h"

#define IMG_VERSION_1_1 2 /* inventory_entry.img_version of format v1.1 */

#if defined(__x86_64__)
#define MACHINE CORE_ENTRY__MARCH__X86_64
#elif defined(__aarch64__)
#define MACHINE CORE_ENTRY__MARCH__AARCH64
#else
#define MACHINE CORE_ENTRY__MARCH__UNKNOWN
#endif

/* task_core_entry.task_state, as crit prints it: Alive, Dead, Stopped. */
enum { STATE_ALIVE = 1, STATE_STOPPED = 3 };

static int one_message(struct img_writer *w, enum img_kind kind, uint64_t number,
		       const ProtobufCMessage *m, struct err *e)
{
	return img_write_begin(w, kind, number, e) || img_write_message(w, m, e) ||
			       img_write_end(w, e)
		       ? -1
		       : 0;
}

static int core_write(const struct task *t, const struct dump *d, struct img_writer *w,
		      struct err *e)
{
	CoreEntry core = CORE_ENTRY__INIT;
	TaskCoreEntry tc = TASK_CORE_ENTRY__INIT;
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;

	core.mtype = MACHINE;
	tc.task_state = t->stat.state == 'T' ? STATE_STOPPED : STATE_ALIVE;
	tc.exit_code = t->stat.exit_code;
	tc.personality = t->personality;
	tc.flags = t->stat.flags;
	tc.blk_sigset = t->sig_blocked;
	tc.comm = (char *)t->stat.comm;
	core.tc = &tc;
	ids.vm_id = ids.fs_id = ids.sighand_id = (uint32_t)t->pid;
	ids.files_id = t->files_id;
	ids.has_net_ns_id = ids.has_user_ns_id = 1;
	ids.net_ns_id = t->netns->id;
	ids.user_ns_id = t->userns->id;
	ids.has_mnt_ns_id = t->mntns != 0;
	ids.mnt_ns_id = t->mntns;
	return one_message(w, IMG_CORE, (uint64_t)t->pid, &core.base, e) ||
			       one_message(w, IMG_IDS, (uint64_t)t->pid, &ids.base, e)
		       ? -1
		       : 0;
}

static int fdinfo_write(const struct task *t, struct img_writer *w, struct err *e)
{
	if (img_write_begin(w, IMG_FDINFO, t->files_id, e))
		return -1;
	for (size_t i = 0; i < t->n_fds; i++) {
		FdinfoEntry fi = FDINFO_ENTRY__INIT;

		fi.id = t->fds[i].file_id;
		fi.type = t->fds[i].type;
		fi.fd = (uint32_t)t->fds[i].fd;
		fi.flags = t->fds[i].cloexec; /* FD_CLOEXEC, fcntl(2) */
		if (img_write_message(w, &fi.base, e))
			return -1;
	}
	return img_write_end(w, e);
}

static int pstree_entry(const struct task *t, const struct tasks *ts, struct img_writer *w,
			struct err *e)
{
	auto_free uint32_t *tids = calloc(t->n_threads + 1, sizeof(*tids));
	auto_free NsimgThread *ours = calloc(t->n_threads + 1, sizeof(*ours));
	auto_free NsimgThread **refs = calloc(t->n_threads + 1, sizeof(*refs));
	PstreeEntry pe = PSTREE_ENTRY__INIT;
	bool inside = false;

	if (!tids || !ours || !refs)
		return err_set(e, ERR_NOMEM, "threads of process %d", (int)t->pid);
	for (size_t i = 0; i < ts->n; i++)
		inside |= ts->all[i].pid == t->stat.ppid;
	pe.pid = (uint32_t)t->pid;
	pe.ppid = inside ? (uint32_t)t->stat.ppid : 0;
	pe.pgid = (uint32_t)t->stat.pgid;
	pe.sid = (uint32_t)t->stat.sid;
	tids[pe.n_threads++] = (uint32_t)t->pid;
	for (size_t i = 0; i < t->n_threads; i++) {
		NsimgThread *th = &ours[i];

		nsimg_thread__init(th);
		th->tid = (uint32_t)t->threads[i].tid;
		th->comm = t->threads[i].comm;
		th->has_net_ns_id = t->threads[i].netns != t->netns;
		th->net_ns_id = t->threads[i].netns->id;
		refs[i] = th;
		tids[pe.n_threads++] = th->tid;
	}
	pe.threads = tids;
	pe.nsimg_threads = refs;
	pe.n_nsimg_threads = t->n_threads;
	return img_write_message(w, &pe.base, e);
}

int task_img_write(const struct tasks *ts, struct dump *d, struct img_writer *w, struct err *e)
{
	for (size_t i = 0; i < ts->n; i++) {
		const struct task *t = &ts->all[i];

		if (core_write(t, d, w, e) || (t->owns_files && fdinfo_write(t, w, e)))
			return -1;
	}
	if (img_write_begin(w, IMG_PSTREE, 0, e))
		return -1;
	for (size_t i = 0; i < ts->n; i++)
		if (pstree_entry(&ts->all[i], ts, w, e))
			return -1;
	return img_write_end(w, e);
}

static int boot_id_read(struct buf *b)
{
	struct err none = ERR_INIT;

	if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, b, &none) || !b->len)
		return -1;
	b->data[strcspn((char *)b->data, "\n")] = '\0';
	return 0;
}

static int nsimg_write(const struct dump *d, struct img_writer *w, const char *target,
		       uint64_t frozen_us, struct err *e)
{
	auto_free NsimgLoss *losses = calloc(d->n_losses + 1, sizeof(*losses));
	auto_free NsimgLoss **refs = calloc(d->n_losses + 1, sizeof(*refs));
	NsimgFactsEntry facts = NSIMG_FACTS_ENTRY__INIT;
	auto_buf struct buf boot = {0};
	struct utsname un;
	struct timespec now;

	if (!losses || !refs)
		return err_set(e, ERR_NOMEM, "list of losses");
	uname(&un);
	clock_gettime(CLOCK_REALTIME, &now);
	facts.tool = (char *)"nsimg " NSIMG_VERSION;
	facts.host = un.nodename;
	facts.kernel = un.release;
	facts.arch = un.machine;
	facts.boot_id = boot_id_read(&boot) ? NULL : (char *)boot.data;
	facts.has_time_ns = 1;
	facts.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	facts.target = (char *)target;
	facts.has_frozen_us = 1;
	facts.frozen_us = frozen_us;
	facts.has_has_files = facts.has_files = 1;
	for (size_t i = 0; i < d->n_losses; i++) {
		nsimg_loss__init(&losses[i]);
		losses[i].object = d->losses[i].object;
		losses[i].reason = d->losses[i].reason;
		refs[i] = &losses[i];
	}
	facts.n_loss = d->n_losses;
	facts.loss = refs;
	return one_message(w, IMG_NSIMG, 0, &facts.base, e);
}

int facts_img_write(struct dump *d, struct img_writer *w, const char *target, uint64_t frozen_us,
		    struct err *e)
{
	InventoryEntry inv = INVENTORY_ENTRY__INIT;
	TaskKobjIdsEntry ids = TASK_KOBJ_IDS_ENTRY__INIT;

	inv.img_version = IMG_VERSION_1_1;
	inv.has_fdinfo_per_id = inv.fdinfo_per_id = 1;
	inv.has_ns_per_id = inv.ns_per_id = 1;
	inv.has_lsmtype = 1;
	inv.lsmtype = LSMTYPE__NO_LSM;
	ids.vm_id = ids.files_id = ids.fs_id = ids.sighand_id = 0;
	for (size_t i = 0; i < d->n_netns; i++)
		if (d->netns[i]->caller) {
			ids.has_net_ns_id = 1;
			ids.net_ns_id = d->netns[i]->id;
		}
	ids.has_user_ns_id = 1;
	ids.user_ns_id = d->userns[0]->id;
	inv.root_ids = &ids;
	return nsimg_write(d, w, target, frozen_us, e) ||
			       one_message(w, IMG_INVENTORY, 0, &inv.base, e)
		       ? -1
		       : 0;
}
