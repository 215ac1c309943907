/*
 * main.c - from the command line to mounts, and back.
 *
 * Everything that can be refused is refused before anything is mounted. In the
 * background the parent waits until the mounts answer, so that the shell's next
 * command can use them, and errors are its exit status.
 */
#include "fs/anon_volume.h"
#include "fs/bdi.h"
#include "fs/cgroup.h"
#include "fs/control.h"
#include "fs/copy_taker.h"
#include "fs/file_volume.h"
#include "fs/fuse_session.h"
#include "fs/host.h"
#include "fs/log.h"
#include "fs/options.h"
#include "fs/source.h"
#include "fs/text.h"
#include "swap/format.h"
#include "swap/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * All buffers of requests together; see fs/fuse_buffer.h. With rings few
 * requests still come that way, and none that are large.
 */
#define BUFFER_BYTES	  (12ul << 20)
#define BUFFER_BYTES_RING (3ul << 20)

/* At the end, a disk that takes nothing for so long is given up. */
enum { DRAIN_PATIENCE_S = 30 };

/*
 * What the kernel reads ahead, where it does: its own default. Of an anon volume
 * less: around each random access to a mapping as much is swapped in, in vain
 * (80/20 over three times memory: a fifth of the rate with 128 KiB, two fifths with
 * 32), and reading in order gains little by more.
 */
#define READ_AHEAD_MAX	    (128ul << 10)
#define READ_AHEAD_ANON_MAX (32ul << 10)
enum { READ_AHEAD_SHARE = 4096 };

#define POLL_NS (50 * NSEC_PER_MSEC)

/* At most one line of the same kind in so long. */
#define SAY_DAMAGE_NS (60 * NSEC_PER_SEC)

/* What was said of it, and when. */
struct damage {
	unsigned long nr;
	uint64_t at_ns;
};

struct mount {
	struct source source;
	struct volume *volume; /* NULL: never open; gone once ended */
	struct session session;
	bool started;
	struct process *process;
	struct os_thread ender; /* unmounts, and waits for the disk */
	bool ending;		/* begun */
	bool threaded;		/* on that thread */
	_Atomic bool ended;	/* and is done */
};

struct process {
	struct options options;
	struct transport transport;
	struct fs fs;
	struct fuse_buffer_pool buffers;
	struct copy_taker taker;
	bool has_taker;
	bool io_flusher; /* as host_prepare() says */
	int bdi_error;	 /* 0 or -errno */
	unsigned int nr_swaps;
	struct swap_file swaps[SWAP_AREAS_MAX];
	char swap_names[SWAP_AREAS_MAX][PATH_MAX];
	struct mount *mounts;
	unsigned int nr;
	_Atomic bool lost; /* something was not written back */
};

/* All of them are looked at before the first is locked. */
static bool open_sources(struct process *p)
{
	const struct options *o = &p->options;

	for (unsigned int n = 0; n < o->nr_pairs; n++) {
		struct source *s = &p->mounts[n].source;

		if (!source_resolve(s, o->sources[n], o->mountpoints[n]))
			return false;
		for (unsigned int i = 0; i < n; i++)
			if (source_conflicts(s, &p->mounts[i].source))
				return false;
	}
	for (p->nr = 0; p->nr < o->nr_pairs; p->nr++) {
		struct source *s = &p->mounts[p->nr].source;

		if (!source_open(s, o->read_only) ||
		    (o->xdev && !source_leave_mounts(s)))
			return false;
	}
	return true;
}

static unsigned int nr_anon(const struct process *p)
{
	unsigned int nr = 0;

	for (unsigned int n = 0; n < p->options.nr_pairs; n++)
		nr += p->mounts[n].source.anon;
	return nr;
}

/* Nobody shall believe in a limit that is none. */
static bool check_anon_options(const struct process *p)
{
	if (!p->options.anon_option || nr_anon(p) > 0)
		return true;
	log_line("option %s: is for anon volumes, and there is none",
		 p->options.anon_option);
	return false;
}

/* None of them lies where it would have to be swapped in to be swapped to. */
static bool check_swaps(const struct process *p)
{
	const struct options *o = &p->options;

	for (unsigned int i = 0; i < o->nr_swaps; i++) {
		const char *path = o->swaps[i].path;

		for (unsigned int n = 0; n < o->nr_pairs; n++)
			if (!source_allows_file(&p->mounts[n].source, path))
				return false;
		for (unsigned int n = 0; n < i; n++)
			if (strcmp(path, o->swaps[n].path) == 0) {
				log_line("swap %s: is given twice", path);
				return false;
			}
	}
	return true;
}

/* It comes to nothing: what was made for it goes again. */
static void discard_swaps(struct process *p)
{
	for (unsigned int i = 0; i < p->nr_swaps; i++)
		swap_file_discard(&p->swaps[i], p->swap_names[i]);
	p->nr_swaps = 0;
}

static bool open_swaps(struct process *p)
{
	const struct options *o = &p->options;
	struct swap_problem why;

	for (unsigned int i = 0; i < o->nr_swaps; i++) {
		if (swap_file_open(&p->swaps[i], o->swaps[i].path,
				   o->swaps[i].size, &why) < 0) {
			log_line("swap %s", why.text);
			return false;
		}
		/* The process will be elsewhere. */
		if (!realpath(o->swaps[i].path, p->swap_names[i]))
			memcpy(p->swap_names[i], o->swaps[i].path, PATH_MAX);
		p->nr_swaps++;
		if (p->swaps[i].was_open)
			log_line("swap %s: others could read it; its mode is "
				 "0600 now",
				 o->swaps[i].path);
	}
	return true;
}

/* False after a line. */
static bool add_swaps(struct process *p)
{
	for (unsigned int i = 0; i < p->nr_swaps; i++)
		if (swap_add_file(p->fs.mm->swap, &p->swaps[i],
				  p->swap_names[i]) < 0) {
			log_line("swap %s: mem=%zu is too small for the map of "
				 "so large an area",
				 p->swap_names[i], p->options.mem);
			return false;
		}
	return true;
}

static void say_mounted(const struct mount *m)
{
	struct volume *vol = m->volume;
	const char *why = m->session.why;
	char buf[256] = "";
	struct text more = { .buf = buf, .size = sizeof(buf) };

	if (vol->ops->introduce)
		vol->ops->introduce(vol, &more);
	log_line("%s on %s: cache=%s transport=%s%s%s%s%s%s", vol->source,
		 vol->mountpoint, cache_mode_name(vol->cache), vol->transport,
		 *why ? " (" : "", why, *why ? ")" : "",
		 more.len > 0 ? ", " : "", buf);
}

/* Once, to whom it may help. */
static void say_switch(const struct process *p)
{
	if (p->transport.switched_off)
		log_line("FUSE over io_uring would be faster; for mounts to "
			 "come: echo 1 > " TRANSPORT_SWITCH);
}

/* What anon volumes have besides memory. */
static void say_swap(const struct process *p)
{
	uint64_t total, used;

	if (nr_anon(p) == 0)
		return;
	swap_usage(p->fs.mm->swap, &total, &used);
	if (total == 0)
		log_line("no swap: anon volumes have only the memory; add "
			 "-o swap=PATH:SIZE for more");
	else
		log_line("swap %llu MiB in %u file%s",
			 (unsigned long long)(total >> 20), p->options.nr_swaps,
			 p->options.nr_swaps > 1 ? "s" : "");
}

/* Of the kind that the SOURCE asks for. */
static struct volume *open_volume(struct process *p, const struct source *s,
				  int *err)
{
	int access = p->options.read_only ? O_RDONLY : O_RDWR;
	int fd;

	if (s->anon)
		return anon_volume_open(&p->fs, &p->options.anon, err);
	fd = fcntl(s->bare_fd >= 0 ? s->bare_fd : s->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		*err = -errno;
		return NULL;
	}
	return file_volume_open(&p->fs, fd, access, err);
}

/*
 * Nothing can be taken back from it: not all that root may do elsewhere may it
 * do here. Then the kernel is to keep nothing, if it was not asked to.
 */
static int show_taker(struct process *p, struct mount *m)
{
	struct volume *vol = m->volume;
	int err = copy_taker_mounted(&p->taker, vol->number, vol->mountpoint,
				     m->session.identity.device);
	enum cache_mode cache = p->options.cache;

	if (!err || cache == CACHE_KERNEL || cache == CACHE_WRITEBACK)
		return err;
	kernel_copies_disable(&p->fs.copies);
	p->has_taker = false;
	vol->cache = CACHE_USER;
	return 0;
}

/*
 * Bytes. Less where the budget is small: each reader has as much on its way, 64
 * of them a sixty-fourth of it. None where only mappings of anonymous memory
 * come: a fault is to swap in what it needs.
 */
static size_t read_ahead(const struct process *p, const struct volume *vol,
			 bool anon)
{
	if (anon && vol->cache == CACHE_USER)
		return 0;
	return min_of(p->options.mem / READ_AHEAD_SHARE,
		      anon ? READ_AHEAD_ANON_MAX : READ_AHEAD_MAX);
}

static int start_mount(struct process *p, struct mount *m)
{
	struct volume *vol;
	int err;

	vol = m->volume = open_volume(p, &m->source, &err);
	if (!vol)
		return err;
	vol->owner = getuid();
	vol->owner_gid = getgid();
	vol->read_only = p->options.read_only;
	vol->noatime = p->options.noatime || vol->read_only;
	vol->nodiratime = p->options.nodiratime;
	vol->sync =
		p->options.sync && !m->source.anon; /* nothing to wait for */
	snprintf(vol->source, sizeof(vol->source), "%s", m->source.path);
	snprintf(vol->mountpoint, sizeof(vol->mountpoint), "%s",
		 m->source.mountpoint);
	if (p->options.control) {
		vol->control = control_create(vol);
		if (!vol->control)
			return -ENOMEM;
	}
	vol->number = (unsigned int)(m - p->mounts);
	vol->cache = p->options.cache;
	if (!p->has_taker)
		vol->cache = CACHE_USER;
	source_serving(&m->source);
	m->started = true;
	err = session_start(
		&m->session, vol,
		&(struct session_config){ .buffers = &p->buffers,
					  .transport = &p->transport,
					  .options = p->options.fuse });
	if (!err && p->has_taker)
		err = show_taker(p, m);
	if (!err)
		p->bdi_error = bdi_setup(vol->mountpoint,
					 p->options.mmap_dirty / p->nr,
					 read_ahead(p, vol, m->source.anon));
	return err;
}

/* False after a line. */
static bool choose_transport(struct process *p)
{
	const struct options *o = &p->options;
	struct transport *t = &p->transport;

	transport_choose(t, o->transport, o->mem, o->nr_pairs,
			 fs_request_max(o->mem));
	if (t->uring || o->transport != TRANSPORT_URING)
		return true;
	log_line("transport=uring: %s%s", t->why,
		 t->switched_off ? "; echo 1 turns it on" : "");
	return false;
}

static const char *reason(const struct mount *m, int err)
{
	if (err == -EOPNOTSUPP)
		return m->session.why;
	return *session_complaint() ? session_complaint() : strerror(-err);
}

/* False after a line. */
static bool lock_memory(struct process *p)
{
	/* Of each mount: receivers, rings, the notifier, and who unmounts. */
	unsigned int nr_threads = p->nr * (2 * os_nr_cpus() + 2);
	struct host_lock lock;
	int err;

	if (!p->options.mlock)
		return true;
	err = host_lock_memory(&lock, p->options.mem + p->fs.overhead,
			       nr_threads);
	p->fs.locked = err == 0;
	if (err == -EPERM)
		log_line("mlock: this takes %zu MiB that may be locked "
			 "(RLIMIT_MEMLOCK, ulimit -l), and %zu may be",
			 lock.need >> 20, lock.limit >> 20);
	else if (err)
		log_line("mlock: %s", strerror(-err));
	return err == 0;
}

/* False after one line that says what went wrong. */
static bool start_all(struct process *p)
{
	const struct transport *t = &p->transport;
	size_t buffers = t->uring ? BUFFER_BYTES_RING : BUFFER_BYTES;
	struct fs_config config = {
		.mem = p->options.mem,
		.buffer_bytes = buffers + t->bytes,
		.request_max = t->request_max,
		.swap = nr_anon(p) > 0,
		.nr_file_volumes = p->options.nr_pairs - nr_anon(p),
		.claim = p->options.mlock,
		.taker = p->has_taker ? &p->taker : NULL,
	};
	struct fs *fs = &p->fs;
	int err = fs_init(fs, &config);

	if (!err)
		err = fuse_buffer_init(&p->buffers, session_buffer_size(fs),
				       buffers);
	if (err) {
		log_line("cannot start with mem=%zu: %s", p->options.mem,
			 strerror(-err));
		return false;
	}
	if (p->options.swappiness >= 0)
		vm_set(fs->mm, VM_SWAPPINESS, p->options.swappiness);
	vm_set(fs->mm, VM_OVERCOMMIT_MEMORY, (long)p->options.overcommit);
	fs->io_flusher = p->io_flusher;
	if (!add_swaps(p) || !lock_memory(p))
		return false;
	for (unsigned int i = 0; i < p->nr; i++) {
		struct mount *m = &p->mounts[i];

		m->process = p;
		err = start_mount(p, m);
		if (err) {
			log_line("%s on %s: cannot be mounted: %s",
				 m->source.path, m->source.mountpoint,
				 reason(m, err));
			return false;
		}
	}
	log_line("mem %zu MiB, outside it at most %zu MiB",
		 p->options.mem >> 20, fs->overhead >> 20);
	if (p->options.mem + fs->overhead > cgroup_memory_limit())
		log_line("both together are more than the %llu MiB this "
			 "process may use (of this machine, or of its control "
			 "group): it may be killed when they are used",
			 (unsigned long long)(cgroup_memory_limit() >> 20));
	for (unsigned int i = 0; i < p->nr; i++)
		say_mounted(&p->mounts[i]);
	say_switch(p);
	say_swap(p);
	if (p->bdi_error)
		log_line("writing through mappings will be slow: the kernel's "
			 "limit for it could not be set (%s); as root it is",
			 strerror(-p->bdi_error));
	if (!p->has_taker)
		log_line("copies of mapped pages that the kernel keeps are not "
			 "counted in the budget: that takes root and Linux "
			 "6.5");
	return true;
}

static struct mount *mount_of(const struct volume *vol)
{
	struct process *p = container_of(vol->fs, struct process, fs);
	struct mount *m = p->mounts;

	while (m->volume != vol)
		m++;
	return m;
}

static void publish_drain(struct volume *vol, uint64_t left)
{
	source_draining(&mount_of(vol)->source, left);
}

/* Nobody asks any more. False if something is not written back. */
static bool end_volume(struct mount *m)
{
	struct volume *vol = m->volume;
	struct control *control = vol->control;
	bool lost = volume_drain(vol, DRAIN_PATIENCE_S, publish_drain) < 0;

	if (!lost)
		volume_close(vol);
	if (control)
		control_destroy(control);
	return !lost;
}

/* Unmounted, or to be: write back, let go, unlock. */
static void end_mount(struct process *p, struct mount *m)
{
	bool lost = false;

	/* Whoever hangs on purpose must not keep us for ever. */
	if (p->fs.mm && p->fs.mm->io)
		page_io_limit_hangs(p->fs.mm->io,
				    DRAIN_PATIENCE_S * NSEC_PER_SEC);
	if (m->started) {
		source_draining(
			&m->source,
			dirty_list_bytes(p->fs.mm, &m->volume->writeback));
		session_stop(&m->session);
	}
	if (m->volume)
		lost = !end_volume(m);
	if (lost)
		log_line("%s: the disk took nothing for %d s; the files named "
			 "above are not written back",
			 m->source.path, DRAIN_PATIENCE_S);
	if (p->fs.mm && p->fs.mm->io)
		page_io_unlimit_hangs(p->fs.mm->io);
	source_close(&m->source, lost);
	if (lost)
		atomic_store(&p->lost, true);
}

static void ender_main(void *arg)
{
	struct mount *m = arg;

	end_mount(m->process, m);
	atomic_store(&m->ended, true);
}

/* Each on a thread of its own: a slow disk holds up only its own volume. */
static void begin_end(struct mount *m)
{
	if (m->ending)
		return;
	m->ending = m->threaded = true;
	if (os_thread_start(&m->ender, "unmount", ender_main, m) != 0) {
		m->threaded = false; /* without one, then */
		end_mount(m->process, m);
		atomic_store(&m->ended, true);
	}
}

static bool all_ended(struct process *p)
{
	bool all = true;

	for (unsigned int i = 0; i < p->nr; i++) {
		struct mount *m = &p->mounts[i];

		if (session_ended(&m->session))
			begin_end(m);
		all &= atomic_load(&m->ended);
	}
	return all;
}

/* What programs hear of as EIO, said once for all of it, and not too often. */
static void say_damage(struct process *p, struct damage *said)
{
	struct mm *mm = p->fs.mm;
	unsigned long damaged = vmstat_read(mm, SWPIN_DAMAGED);
	unsigned long failed = vmstat_read(mm, SWAP_READ_ERROR);
	uint64_t now = os_now_ns();

	if (damaged + failed == said->nr ||
	    (said->nr > 0 && now - said->at_ns < SAY_DAMAGE_NS))
		return;
	*said = (struct damage){ damaged + failed, now };
	log_line("swap: pages are lost, reading them is EIO (so far "
		 "swpin_damaged %lu, swap_read_error %lu)",
		 damaged, failed);
}

/* Until the last volume is unmounted, or a signal says so. */
static void serve(struct process *p, const sigset_t *signals)
{
	struct timespec poll = { .tv_nsec = POLL_NS };
	struct damage said = { .nr = 0 };

	while (!all_ended(p)) {
		int sig = sigtimedwait(signals, NULL, &poll);

		say_damage(p, &said);
		if (sig == SIGTERM || sig == SIGINT || sig == SIGHUP)
			break;
	}
	for (unsigned int i = 0; i < p->nr; i++)
		begin_end(&p->mounts[i]);
	for (unsigned int i = 0; i < p->nr; i++)
		if (p->mounts[i].threaded)
			os_thread_join(&p->mounts[i].ender);
}

/* False after a line: the mode that was asked for cannot be had. */
static bool start_taker(struct process *p)
{
	enum cache_mode cache = p->options.cache;
	int err;

	p->taker.locked = p->options.mlock;
	err = copy_taker_start(&p->taker, p->transport.request_max);

	p->has_taker = err == 0;
	if (p->has_taker)
		return true;
	if (cache == CACHE_KERNEL || cache == CACHE_WRITEBACK) {
		log_line("cache=%s takes root and Linux 6.5, so that the "
			 "kernel's copies can be counted: %s",
			 cache_mode_name(cache), strerror(-err));
		return false;
	}
	return true;
}

static void leave_front(int ready)
{
	int null = open("/dev/null", O_RDWR);

	if (write(ready, "", 1) < 0)
		log_line("nobody waits for the mount");
	close(ready);
	log_to_syslog();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	if (chdir("/") < 0)
		log_line("chdir: %s", strerror(errno));
}

static int run(struct process *p, int ready)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->io_flusher = host_prepare();
	host_give_up_reserves();
	if (!choose_transport(p) || !start_taker(p) || !start_all(p)) {
		for (unsigned int i = 0; i < p->nr; i++)
			end_mount(p, &p->mounts[i]);
		discard_swaps(p);
		return EXIT_FAILURE;
	}
	if (ready >= 0)
		leave_front(ready);
	serve(p, &signals);
	if (!p->lost) {
		fs_destroy(&p->fs);
		fuse_buffer_destroy(&p->buffers);
	}
	if (p->fs.copies.taker)
		copy_taker_stop(&p->taker);
	return p->lost ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The parent: wait until the child serves, or has said why it does not. */
static int wait_ready(pid_t child, int from)
{
	char byte;
	ssize_t n;

	do
		n = read(from, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXIT_SUCCESS;
	(void)child;
	return EXIT_FAILURE;
}

static int run_behind(struct process *p)
{
	int ready[2];
	pid_t child;

	if (pipe2(ready, O_CLOEXEC) < 0) {
		log_line("pipe: %s", strerror(errno));
		discard_swaps(p);
		return EXIT_FAILURE;
	}
	child = fork();
	if (child < 0) {
		log_line("fork: %s", strerror(errno));
		discard_swaps(p);
		return EXIT_FAILURE;
	}
	if (child > 0) {
		close(ready[1]);
		return wait_ready(child, ready[0]);
	}
	close(ready[0]);
	setsid();
	return run(p, ready[1]);
}

int main(int argc, char **argv)
{
	static struct process p;

	if (argc == 2 && strcmp(argv[1], COPY_TAKER_ARG) == 0)
		return copy_taker_main();
	if (!options_parse(&p.options, argc, argv))
		return EXIT_FAILURE;
	if (p.options.help) {
		options_usage();
		return EXIT_SUCCESS;
	}
	if (p.options.version) {
		puts("plimsoll " PLIMSOLL_VERSION);
		return EXIT_SUCCESS;
	}
	host_lift_file_limit();
	p.mounts = calloc(p.options.nr_pairs, sizeof(*p.mounts));
	if (!p.mounts || !open_sources(&p) || !check_anon_options(&p) ||
	    !check_swaps(&p))
		return EXIT_FAILURE;
	if (!open_swaps(&p)) {
		discard_swaps(&p);
		return EXIT_FAILURE;
	}
	return p.options.foreground ? run(&p, -1) : run_behind(&p);
}
