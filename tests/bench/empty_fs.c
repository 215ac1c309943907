/*
 * empty_fs.c - a file system that does nothing: what FUSE itself costs.
 *
 *	empty_fs [-f] [-o OPTION,...] MOUNTPOINT
 *
 *	size=BYTES	the size of the one file (default: 256 MiB)
 *	direct_io	reads and writes pass the kernel's cache by
 *	io_uring	requests arrive by the ring (libfuse's own option)
 *	clone_fd	a device descriptor for each thread (libfuse's own)
 *
 * At its root are two files. "file" answers every READ with the same bytes,
 * 'x' all of them, and takes every WRITE as it stands. "transport" says how the
 * request that read it came, "uring" or "dev": libfuse falls back silently.
 *
 * A request is answered by the thread that received it. On the device that is
 * libfuse's own loop of several threads, on the ring a thread a CPU.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_INO = 2, TRANSPORT_INO = 3 };
enum { REQUEST_MAX = 1 << 20 };

static const double forever_s = 86400; /* names and sizes do not change */

struct empty_fs {
	unsigned long size;
	int direct_io;
};

static struct empty_fs fs = { .size = 256ul << 20 };
static char content[REQUEST_MAX];

static const struct fuse_opt options[] = {
	{ "size=%lu", offsetof(struct empty_fs, size), 0 },
	{ "direct_io", offsetof(struct empty_fs, direct_io), 1 },
	FUSE_OPT_END
};

static const char *transport(fuse_req_t req)
{
	return fuse_req_is_uring(req) ? "uring\n" : "dev\n";
}

static struct stat attr_of(fuse_ino_t ino)
{
	struct stat st = { .st_ino = ino, .st_nlink = 1 };

	st.st_mode = S_IFREG | 0644;
	if (ino == FUSE_ROOT_ID)
		st.st_mode = S_IFDIR | 0755;
	else if (ino == FILE_INO)
		st.st_size = (off_t)fs.size;
	else
		st.st_size = sizeof("uring\n") - 1; /* read as direct I/O */
	st.st_blksize = 4096;
	st.st_blocks = st.st_size / 512;
	return st;
}

/* As plimsoll asks for it (fs/fuse_ops.c). */
static void init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	fuse_set_feature_flag(conn, FUSE_CAP_ASYNC_READ);
	fuse_set_feature_flag(conn, FUSE_CAP_ASYNC_DIO);
	fuse_set_feature_flag(conn, FUSE_CAP_PARALLEL_DIROPS);
	fuse_set_feature_flag(conn, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
	fuse_unset_feature_flag(conn, FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = REQUEST_MAX;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
	conn->no_interrupt = 1;
}

static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = forever_s,
				      .entry_timeout = forever_s };

	if (parent == FUSE_ROOT_ID && strcmp(name, "file") == 0)
		e.ino = FILE_INO;
	else if (parent == FUSE_ROOT_ID && strcmp(name, "transport") == 0)
		e.ino = TRANSPORT_INO;
	else {
		fuse_reply_err(req, ENOENT);
		return;
	}
	e.attr = attr_of(e.ino);
	fuse_reply_entry(req, &e);
}

static void getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = attr_of(ino);

	(void)fi;
	fuse_reply_attr(req, &st, forever_s);
}

static void open_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->direct_io = fs.direct_io || ino == TRANSPORT_INO;
	fi->parallel_direct_writes = 1;
	fi->keep_cache = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void read_file(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	unsigned long at = (unsigned long)off;

	(void)fi;
	if (ino == TRANSPORT_INO) {
		const char *text = transport(req);

		fuse_reply_buf(req, text, at ? 0 : strlen(text));
		return;
	}
	if (at >= fs.size)
		size = 0;
	else if (size > fs.size - at)
		size = fs.size - at;
	if (size > REQUEST_MAX)
		size = REQUEST_MAX;
	fuse_reply_buf(req, content, size);
}

static void write_file(fuse_req_t req, fuse_ino_t ino, const char *buf,
		       size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino, (void)buf, (void)off, (void)fi;
	fuse_reply_write(req, size);
}

static void sync_file(fuse_req_t req, fuse_ino_t ino, int datasync,
		      struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = init,
	.lookup = lookup,
	.getattr = getattr,
	.open = open_file,
	.read = read_file,
	.write = write_file,
	.fsync = sync_file,
};

static int serve(struct fuse_session *se, const struct fuse_cmdline_opts *opts)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int rc = 1;

	if (!config)
		return 1;
	fuse_loop_cfg_set_clone_fd(config, (unsigned int)opts->clone_fd);
	if (fuse_set_signal_handlers(se) != 0)
		goto out_config;
	if (fuse_session_mount(se, opts->mountpoint) != 0)
		goto out_signals;
	fuse_daemonize(opts->foreground);
	rc = fuse_session_loop_mt(se, config) != 0;
	fuse_session_unmount(se);
out_signals:
	fuse_remove_signal_handlers(se);
out_config:
	fuse_loop_cfg_destroy(config);
	return rc;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts opts;
	struct fuse_session *se;
	int rc = 1;

	memset(content, 'x', sizeof(content));
	if (fuse_parse_cmdline(&args, &opts) != 0)
		return 2;
	if (!opts.mountpoint || fuse_opt_parse(&args, &fs, options, NULL) < 0) {
		fputs("usage: empty_fs [-f] [-o OPTION,...] MOUNTPOINT\n",
		      stderr);
		return 2;
	}
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (se) {
		rc = serve(se, &opts);
		fuse_session_destroy(se);
	}
	free(opts.mountpoint);
	fuse_opt_free_args(&args);
	return rc;
}
