/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const struct trace_entry *e, const char *call)
{
	return strcmp(e->call, call) == 0;
}

/* ---- names ---------------------------------------------------------------------------------------- */

static struct node **slot(struct names *names, const char *name, bool make)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->e[i].name, name) == 0)
			return &names->e[i].node;
	if (!make)
		return NULL;
	if (names->n == names->cap) {
		names->cap = names->cap ? names->cap * 2 : 8;
		names->e = must(realloc(names->e, names->cap * sizeof *names->e));
	}
	snprintf(names->e[names->n].name, NAME_LEN, "%s", name);
	names->e[names->n].node = NULL;
	return &names->e[names->n++].node;
}

static void forget(struct names *names, const char *name)
{
	struct node **at = slot(names, name, false);
	size_t i;

	if (!at)
		return;
	i = (size_t)((struct dirent_now *)((char *)at - offsetof(struct dirent_now, node)) - names->e);
	names->e[i] = names->e[--names->n];
}

static struct node *new_node(struct disk *d, bool directory, const char *name)
{
	struct node *n = must(calloc(1, sizeof *n));

	n->directory = directory;
	snprintf(n->made_as, sizeof n->made_as, "%s", name);
	n->next = d->nodes;
	d->nodes = n;
	return n;
}

/* The directory of a path relative to the root, and the last name in it.  NULL: outside, or not there. */
static struct node *parent(struct disk *d, const char *path, char ret_name[NAME_LEN])
{
	struct node *dir = d->root;

	if (path[0] == '/' || strchr(path, '%'))
		return NULL;
	for (;;) {
		const char *slash = strchr(path, '/');
		char name[NAME_LEN];
		struct node **at;

		if (!slash) {
			snprintf(ret_name, NAME_LEN, "%s", path);
			return dir;
		}
		snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
		at = slot(&dir->now, name, false);
		if (!at || !(*at)->directory)
			die("the trace names %s in a directory that was never made", path);
		dir = *at;
		path = slash + 1;
	}
}

static struct node *find(struct disk *d, const char *path)
{
	char name[NAME_LEN];
	struct node *dir, **at;

	if (strcmp(path, ".") == 0)
		return d->root;
	dir = parent(d, path, name);
	if (!dir)
		return NULL;
	if (strcmp(name, ".") == 0)
		return dir;
	at = slot(&dir->now, name, false);
	return at ? *at : NULL;
}

static void name_change(struct disk *d, struct node *node, struct node *from_dir, const char *from, struct node *to_dir,
                        const char *to)
{
	struct name_op *op;

	if (d->n_names == d->cap_names) {
		d->cap_names = d->cap_names ? d->cap_names * 2 : 64;
		d->names = must(realloc(d->names, d->cap_names * sizeof *d->names));
	}
	op = &d->names[d->n_names++];
	*op = (struct name_op){.op = d->ops++, .from_dir = from_dir, .to_dir = to_dir, .node = node};
	if (from_dir)
		snprintf(op->from, NAME_LEN, "%s", from);
	if (to_dir)
		snprintf(op->to, NAME_LEN, "%s", to);
	if (from_dir)
		forget(&from_dir->now, from);
	if (to_dir)
		*slot(&to_dir->now, to, true) = node;
}

static struct node *by_id(struct disk *d, const char *id)
{
	for (struct node *n = d->nodes; id && n; n = n->next)
		if (strcmp(n->id, id) == 0)
			return n;
	return NULL;
}

static void know_id(struct node *n, const char *id)
{
	if (id)
		snprintf(n->id, sizeof n->id, "%s", id);
}

/* ---- data ----------------------------------------------------------------------------------------- */

static struct sector *sector_at(struct node *n, size_t i)
{
	if (i >= n->n_sectors) {
		n->s = must(realloc(n->s, (i + 1) * sizeof *n->s));
		memset(n->s + n->n_sectors, 0, (i + 1 - n->n_sectors) * sizeof *n->s);
		n->n_sectors = i + 1;
	}
	return &n->s[i];
}

static void grow(struct node *n, uint32_t op, uint64_t size)
{
	if (size <= n->size_now)
		return;
	if (n->n_sizes == n->cap_sizes) {
		n->cap_sizes = n->cap_sizes ? n->cap_sizes * 2 : 8;
		n->sizes = must(realloc(n->sizes, n->cap_sizes * sizeof *n->sizes));
	}
	n->sizes[n->n_sizes++] = (struct size_change){.op = op, .size = size};
	n->size_now = size;
}

static void write_bytes(struct disk *d, struct node *n, uint64_t at, const uint8_t *bytes, size_t len)
{
	uint32_t op = d->ops++;

	grow(n, op, at + len);
	while (len > 0) {
		struct sector *s = sector_at(n, (size_t)(at / SECTOR));
		size_t in = (size_t)(at % SECTOR), part = SECTOR - in < len ? SECTOR - in : len;
		struct version *v;

		if (s->n == s->cap) {
			s->cap = s->cap ? s->cap * 2 : 2;
			s->v = must(realloc(s->v, s->cap * sizeof *s->v));
		}
		v = &s->v[s->n];
		if (s->n > 0)
			memcpy(v->bytes, s->v[s->n - 1].bytes, SECTOR);
		else if (s->base)
			memcpy(v->bytes, s->base, SECTOR);
		else
			memset(v->bytes, 0, SECTOR);
		v->op = op;
		v->poisoned = false;
		v->end = at + part;
		if (s->n > 0 && v[-1].end > v->end)
			v->end = v[-1].end;
		memcpy(v->bytes + in, bytes, part);
		s->n++;
		at += part;
		bytes += part;
		len -= part;
	}
}

/* The highest version of a sector that a sync begun at `begin` made durable becomes its base. */
static void promote_sector(struct node *n, size_t i, uint32_t begin)
{
	struct sector *s = &n->s[i];
	uint32_t k = s->n;

	while (k > 0 && (s->v[k - 1].op >= begin || s->v[k - 1].poisoned))
		k--;
	if (k == 0)
		return;
	if (!s->base)
		s->base = must(malloc(SECTOR));
	memcpy(s->base, s->v[k - 1].bytes, SECTOR);
	if (s->v[k - 1].end > n->size_durable) /* also where the growth itself was in a sync that failed */
		n->size_durable = s->v[k - 1].end;
	memmove(s->v, s->v + k, (s->n - k) * sizeof *s->v);
	s->n -= k;
}

static void sync_data(struct node *n, uint32_t begin, bool failed)
{
	size_t left = 0;

	for (size_t i = 0; i < n->n_sectors; i++) {
		for (uint32_t k = 0; failed && k < n->s[i].n; k++)
			n->s[i].v[k].poisoned |= n->s[i].v[k].op < begin;
		if (!failed)
			promote_sector(n, i, begin);
	}
	for (size_t i = 0; i < n->n_sizes; i++) {
		struct size_change *c = &n->sizes[i];

		if (c->op < begin && failed)
			c->poisoned = true;
		if (c->op < begin && !failed && !c->poisoned && c->size > n->size_durable)
			n->size_durable = c->size;
	}
	for (size_t i = 0; i < n->n_sizes; i++)
		if (n->sizes[i].size > n->size_durable)
			n->sizes[left++] = n->sizes[i];
	n->n_sizes = left;
}

static void happen(const struct name_op *op, struct names *from, struct names *to)
{
	if (from)
		forget(from, op->from);
	if (to)
		*slot(to, op->to, true) = op->node;
}

/* An fsync of a directory: the changes of its names are durable, a rename's other half with it. */
static void sync_names(struct disk *d, const struct node *dir, uint32_t begin)
{
	size_t left = 0;

	for (size_t i = 0; i < d->n_names; i++) {
		struct name_op *op = &d->names[i];
		const struct node *where = op->to_dir ? op->to_dir : op->from_dir;

		if (where == dir && op->op < begin)
			happen(op, op->from_dir ? &op->from_dir->durable : NULL, op->to_dir ? &op->to_dir->durable : NULL);
		else
			d->names[left++] = *op;
	}
	d->n_names = left;
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static struct open_file *file_of(struct disk *d, const struct trace_entry *e)
{
	int fd = (int)trace_number(e, "fd");
	struct open_file *f = d->files;

	while (f < d->files + d->n_files && (f->pid != e->pid || f->fd != fd))
		f++;
	if (f == d->files + d->n_files) {
		if (d->n_files == sizeof d->files / sizeof d->files[0])
			die("too many open files in the trace");
		*f = (struct open_file){.pid = e->pid, .fd = fd};
		d->n_files++;
	}
	return f;
}

static void opened(struct disk *d, const struct trace_entry *e)
{
	const char *path = trace_get(e, "path"), *id = trace_get(e, "id");
	char name[NAME_LEN];
	struct node *n, *dir;

	file_of(d, e)->at = 0;
	if (path[0] == '/') /* as the caller gave it */
		path = trace_get(e, "file");
	if (!path || path[0] == '/' || !id)
		return;
	n = find(d, path);
	if (n) {
		if (!n->id[0])
			know_id(n, id);
		return;
	}
	if (!(trace_number(e, "flags") & O_CREAT))
		die("the trace opens %s, which was never made", path);
	dir = parent(d, path, name);
	n = new_node(d, false, name);
	know_id(n, id);
	name_change(d, n, NULL, NULL, dir, name);
}

static void made_directory(struct disk *d, const struct trace_entry *e)
{
	const char *path = trace_get(e, "path");
	char name[NAME_LEN];
	struct node *dir = path ? parent(d, path, name) : NULL, *n;

	if (!dir)
		return;
	n = new_node(d, true, name);
	know_id(n, trace_get(e, "id"));
	name_change(d, n, NULL, NULL, dir, name);
}

static void renamed(struct disk *d, const struct trace_entry *e)
{
	char from[NAME_LEN], to[NAME_LEN];
	struct node *from_dir = parent(d, trace_get(e, "from"), from), *to_dir = parent(d, trace_get(e, "to"), to);
	struct node *n = find(d, trace_get(e, "from"));

	if (!from_dir || !to_dir || !n)
		die("the trace renames %s, which was never made", trace_get(e, "from"));
	name_change(d, n, from_dir, from, to_dir, to);
}

static void unlinked(struct disk *d, const struct trace_entry *e)
{
	char name[NAME_LEN];
	struct node *dir = parent(d, trace_get(e, "path"), name), *n = find(d, trace_get(e, "path"));

	if (!dir || !n)
		die("the trace removes %s, which was never made", trace_get(e, "path"));
	name_change(d, n, dir, name, NULL, NULL);
}

static void wrote(struct disk *d, const struct trace_entry *e)
{
	struct node *n = by_id(d, trace_get(e, "id"));
	bool has_place = is(e, "pwrite") || is(e, "pwritev");
	struct open_file *f = file_of(d, e);
	uint64_t at = has_place ? trace_number(e, "at") : f->at;

	if (!has_place)
		f->at += (uint64_t)e->result;
	if (n && e->result > 0)
		write_bytes(d, n, at, e->data, (size_t)e->result);
}

static void synced(struct disk *d, const struct trace_entry *e)
{
	struct node *n = by_id(d, trace_get(e, "id"));
	uint32_t begin = file_of(d, e)->sync_begin;

	if (!n)
		return;
	if (n->directory && e->result == 0)
		sync_names(d, n, begin);
	else if (!n->directory)
		sync_data(n, begin, e->result < 0);
}

bool disk_changes(const struct trace_entry *e)
{
	static const char *const calls[] = {"openat", "mkdirat", "mkdir_path", "renameat", "unlinkat", "write", "writev",
	                                    "pwrite", "pwritev", "fallocate"};
	const char *file = trace_get(e, "file");

	if (is(e, "fdatasync") || is(e, "fsync"))
		return true;
	if (e->result < 0 || (file && (strcmp(file, "stdout") == 0 || strcmp(file, "stderr") == 0)))
		return false;
	if (is(e, "openat") && !(trace_number(e, "flags") & O_CREAT))
		return false;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		if (is(e, calls[i]))
			return true;
	return false;
}

void disk_apply(struct disk *d, const struct trace_entry *e)
{
	struct node *n;

	if (is(e, "fdatasync-begin") || is(e, "fsync-begin"))
		file_of(d, e)->sync_begin = d->ops;
	else if (is(e, "fdatasync") || is(e, "fsync"))
		synced(d, e);
	else if (e->result < 0)
		return;
	else if (is(e, "openat") || is(e, "open_path"))
		opened(d, e);
	else if (is(e, "mkdirat") || is(e, "mkdir_path"))
		made_directory(d, e);
	else if (is(e, "renameat"))
		renamed(d, e);
	else if (is(e, "unlinkat"))
		unlinked(d, e);
	else if (is(e, "read"))
		file_of(d, e)->at += (uint64_t)e->result;
	else if (is(e, "write") || is(e, "writev") || is(e, "pwrite") || is(e, "pwritev"))
		wrote(d, e);
	else if (is(e, "fallocate") && (n = by_id(d, trace_get(e, "id")))) {
		n->allocated = true;
		grow(n, d->ops++, trace_number(e, "at") + trace_number(e, "len"));
	}
}

/* ---- what is pending ------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

size_t disk_pending(const struct disk *d, uint32_t **ret)
{
	uint8_t *seen = must(calloc(d->ops + 1, 1));
	size_t n = 0;

	for (size_t i = 0; i < d->n_names; i++)
		seen[d->names[i].op] = 1;
	for (const struct node *f = d->nodes; f; f = f->next) {
		for (size_t i = 0; i < f->n_sizes; i++)
			seen[f->sizes[i].op] = 1;
		for (size_t i = 0; i < f->n_sectors; i++)
			for (uint32_t k = 0; k < f->s[i].n; k++)
				seen[f->s[i].v[k].op] = 1;
	}
	*ret = must(malloc((d->ops + 1) * sizeof **ret));
	for (uint32_t op = 0; op < d->ops; op++)
		if (seen[op])
			(*ret)[n++] = op;
	qsort(*ret, n, sizeof **ret, by_number);
	free(seen);
	return n;
}

void disk_init(struct disk *d)
{
	memset(d, 0, sizeof *d);
	d->root = new_node(d, true, ".");
}

void disk_release(struct disk *d)
{
	for (struct node *n = d->nodes, *next; n; n = next) {
		next = n->next;
		for (size_t i = 0; i < n->n_sectors; i++) {
			free(n->s[i].base);
			free(n->s[i].v);
		}
		free(n->s);
		free(n->sizes);
		free(n->now.e);
		free(n->durable.e);
		free(n);
	}
	free(d->names);
	memset(d, 0, sizeof *d);
}
