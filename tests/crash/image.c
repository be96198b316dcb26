/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A choice made into a directory: which version of each sector, which size, which names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

struct making {
	const struct disk *d;
	const struct choice *c;
	struct image *im;
	struct names *at_cut; /* of each directory, in the order of disk.nodes */
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

static uint32_t draw(uint32_t seed, const void *who, size_t n)
{
	uint64_t h = mix(seed, n + 1);

	for (const char *p = who; *p; p++)
		h = mix(h, (uint8_t)*p);
	return (uint32_t)(h >> 17);
}

static bool kept(const struct making *m, uint32_t op)
{
	return m->c->kept[op] != 0;
}

/* ---- names ---------------------------------------------------------------------------------------- */

static struct names *names_of(const struct making *m, const struct node *dir)
{
	struct names *names = m->at_cut;

	for (const struct node *n = m->d->nodes; n != dir; n = n->next)
		names++;
	return names;
}

static void set(struct names *names, const char *name, struct node *node)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->e[i].name, name) == 0) {
			if (node)
				names->e[i].node = node;
			else
				names->e[i] = names->e[--names->n];
			return;
		}
	if (!node)
		return;
	if (names->n == names->cap) {
		names->cap = names->cap ? names->cap * 2 : 16;
		names->e = must(realloc(names->e, names->cap * sizeof *names->e));
	}
	snprintf(names->e[names->n].name, NAME_LEN, "%s", name);
	names->e[names->n++].node = node;
}

static void choose_names(struct making *m)
{
	size_t n_nodes = 0;

	for (const struct node *n = m->d->nodes; n; n = n->next)
		n_nodes++;
	m->at_cut = must(calloc(n_nodes, sizeof *m->at_cut));
	for (const struct node *n = m->d->nodes; n; n = n->next) {
		struct names *names = names_of(m, n);

		if (n->durable.n == 0)
			continue;
		names->e = must(malloc(n->durable.n * sizeof *names->e));
		memcpy(names->e, n->durable.e, n->durable.n * sizeof *names->e);
		names->n = names->cap = n->durable.n;
	}
	for (size_t i = 0; i < m->d->n_names; i++) {
		const struct name_op *op = &m->d->names[i];

		if (!kept(m, op->op))
			continue;
		if (op->from_dir)
			set(names_of(m, op->from_dir), op->from, NULL);
		if (op->to_dir)
			set(names_of(m, op->to_dir), op->to, op->node);
	}
}

/* ---- data ----------------------------------------------------------------------------------------- */

static uint8_t *new_sector(struct image *im, const uint8_t *bytes)
{
	uint8_t *at;

	if (im->n_torn == im->cap_torn)
		die("an image has more than %zu torn sectors", im->cap_torn);
	at = im->torn + im->n_torn++ * SECTOR;
	if (bytes)
		memcpy(at, bytes, SECTOR);
	else
		memset(at, 0, SECTOR);
	return at;
}

static bool is_segment(const struct node *n)
{
	size_t len = strlen(n->made_as);

	return n->made_as[0] == '.' && len > 24 && strcmp(n->made_as + len - 4, ".tmp") == 0;
}

/* What another segment, living or dead, has at this place. */
static const uint8_t *stale_sector(const struct making *m, const struct node *n, size_t i)
{
	const struct node *donors[16];
	size_t k = 0;

	for (const struct node *o = m->d->nodes; o && k < 16; o = o->next)
		if (o != n && is_segment(o) && i < o->n_sectors && (o->s[i].n > 0 || o->s[i].base))
			donors[k++] = o;
	if (k == 0)
		return NULL;
	n = donors[m->c->stale % k];
	return n->s[i].n > 0 ? n->s[i].v[n->s[i].n - 1].bytes : n->s[i].base;
}

static bool is_state(const struct node *n)
{
	return strcmp(n->made_as, ".state.tmp") == 0;
}

/* A disk writes a sector whole; two slots are there for one that does not.  They cannot help with the first
 * value of all, which has no other slot to fall back to. */
static bool may_tear(const struct node *n, const struct sector *s)
{
	return s->base || !n->allocated || is_state(n);
}

static const uint8_t *choose_sector(const struct making *m, const struct node *n, size_t i)
{
	const struct sector *s = &n->s[i];
	const uint8_t *bytes = s->base;
	uint32_t k = s->n;

	if (m->c->stateless && is_state(n))
		k = 0;
	else if (m->c->tear)
		k = s->n ? draw(m->c->tear, n->id, i) % (s->n + 1) : 0;
	else
		while (k > 0 && !kept(m, s->v[k - 1].op))
			k--;
	if (k > 0) {
		bytes = s->v[k - 1].bytes;
		if (m->c->shred && may_tear(n, s)) {
			const uint8_t *old = k > 1 ? s->v[k - 2].bytes : s->base;
			size_t cut = 64 * (1 + draw(m->c->shred, n->id, i) % 7);
			uint8_t *torn = new_sector(m->im, bytes);

			if (old)
				memcpy(torn + cut, old + cut, SECTOR - cut);
			else
				memset(torn + cut, 0, SECTOR - cut);
			return torn;
		}
	}
	if (!bytes && m->c->stale && !n->allocated && is_segment(n))
		bytes = stale_sector(m, n, i);
	return bytes;
}

static uint64_t choose_size(const struct making *m, const struct node *n)
{
	uint64_t size = n->size_durable;

	if (m->c->size_first)
		return n->size_now > size ? n->size_now : size;
	if (m->c->tear && n->n_sizes > 0) {
		uint32_t k = draw(m->c->tear, n->id, 1u << 30) % (uint32_t)(n->n_sizes + 1);

		return k > 0 && n->sizes[k - 1].size > size ? n->sizes[k - 1].size : size;
	}
	for (size_t i = 0; i < n->n_sizes; i++)
		if (kept(m, n->sizes[i].op) && n->sizes[i].size > size)
			size = n->sizes[i].size;
	return size;
}

static void add_file(struct making *m, const char *path, const struct node *n)
{
	struct image *im = m->im;
	struct image_file *f;
	size_t count;

	if (im->n_files == im->cap_files) {
		size_t cap = im->cap_files ? im->cap_files * 2 : 32;

		im->f = must(realloc(im->f, cap * sizeof *im->f));
		memset(im->f + im->cap_files, 0, (cap - im->cap_files) * sizeof *im->f);
		im->cap_files = cap;
	}
	f = &im->f[im->n_files++];
	snprintf(f->path, sizeof f->path, "%s", path);
	f->node = n;
	f->size = choose_size(m, n);
	count = (size_t)((f->size + SECTOR - 1) / SECTOR);
	f->sector = must(realloc(f->sector, (count + 1) * sizeof *f->sector));
	for (size_t i = 0; i < count; i++)
		f->sector[i] = i < n->n_sectors                                       ? choose_sector(m, n, i)
		               : m->c->stale && !n->allocated && is_segment(n) ? stale_sector(m, n, i)
		                                                                      : NULL;
	f->n_sectors = count;
}

/* A bit turns in a sector that holds batches: of segments that have their names, behind the header. */
static void rot(struct making *m)
{
	struct image *im = m->im;

	for (size_t i = 0; i < im->n_files; i++) {
		struct image_file *f = &im->f[i];
		const char *dot = strrchr(f->path, '.');

		if (!is_segment(f->node) || !dot || strcmp(dot, ".seg") != 0)
			continue;
		for (size_t k = 1; k < f->n_sectors; k++) {
			size_t in = k % 2 ? 17 : 301; /* now a header, now a body */
			uint8_t *bytes;

			if (!f->sector[k] || k * SECTOR + in >= f->size || ++im->rotten != m->c->rot)
				continue;
			bytes = new_sector(im, f->sector[k]);
			bytes[in] ^= 4;
			f->sector[k] = bytes;
			snprintf(im->rot_where, sizeof im->rot_where, "%s at %zu", f->path, k * SECTOR + in);
		}
	}
}

/* ---- the tree ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct dirent_now *)a)->name, ((const struct dirent_now *)b)->name);
}

static void walk(struct making *m, const char *path, const struct node *dir)
{
	struct names *names = names_of(m, dir);
	struct image *im = m->im;

	if (names->n > 1)
		qsort(names->e, names->n, sizeof *names->e, by_name);
	for (size_t i = 0; i < names->n; i++) {
		char below[PATH_LEN];

		if (snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "/" : "", names->e[i].name) >= PATH_LEN)
			die("a path is too long: %s", path);
		if (!names->e[i].node->directory) {
			add_file(m, below, names->e[i].node);
			continue;
		}
		if (im->n_dirs == im->cap_dirs) {
			im->cap_dirs = im->cap_dirs ? im->cap_dirs * 2 : 16;
			im->dirs = must(realloc(im->dirs, im->cap_dirs * sizeof *im->dirs));
			im->dir_nodes = must(realloc(im->dir_nodes, im->cap_dirs * sizeof *im->dir_nodes));
		}
		memcpy(im->dirs[im->n_dirs], below, sizeof below);
		im->dir_nodes[im->n_dirs++] = names->e[i].node;
		walk(m, below, names->e[i].node);
	}
}

static uint64_t hash_bytes(uint64_t h, const uint8_t *bytes, size_t n)
{
	for (; n >= 8; n -= 8, bytes += 8) {
		uint64_t v;

		memcpy(&v, bytes, 8);
		h = mix(h, v);
	}
	for (; n > 0; n--)
		h = mix(h, *bytes++);
	return h;
}

static void hash(struct image *im)
{
	uint64_t h = 1;

	for (size_t i = 0; i < im->n_dirs; i++)
		h = hash_bytes(h, (const uint8_t *)im->dirs[i], strlen(im->dirs[i]) + 1);
	for (size_t i = 0; i < im->n_files; i++) {
		const struct image_file *f = &im->f[i];

		h = hash_bytes(mix(h, f->size), (const uint8_t *)f->path, strlen(f->path) + 1);
		for (size_t k = 0; k < f->n_sectors; k++) {
			size_t left = (size_t)(f->size - k * SECTOR);
			static const uint8_t zeros[SECTOR];
			const uint8_t *bytes = f->sector[k];

			left = left < SECTOR ? left : SECTOR;
			if (bytes && memcmp(bytes, zeros, left) != 0)
				h = hash_bytes(mix(h, k), bytes, left);
		}
	}
	im->hash = h;
}

void disk_image(const struct disk *d, const struct choice *c, struct image *im)
{
	struct making m = {d, c, im, NULL};
	size_t i = 0;

	if (!im->torn) {
		im->cap_torn = 4096;
		im->torn = must(malloc(im->cap_torn * SECTOR));
	}
	im->n_dirs = im->n_files = im->n_torn = 0;
	im->rotten = 0;
	im->rot_where[0] = 0;
	choose_names(&m);
	walk(&m, "", d->root);
	if (c->rot)
		rot(&m);
	hash(im);
	for (const struct node *n = d->nodes; n; n = n->next)
		free(m.at_cut[i++].e);
	free(m.at_cut);
}

void image_release(struct image *im)
{
	for (size_t i = 0; i < im->cap_files; i++)
		free(im->f[i].sector);
	free(im->f);
	free(im->dirs);
	free(im->dir_nodes);
	free(im->torn);
	memset(im, 0, sizeof *im);
}
