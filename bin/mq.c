/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq: the front door.  `mq TOOL` runs mq-TOOL, its own directory's before the PATH's. */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *does;
} tools[] = {
	{"publish", "put records into a topic: lines, files, messages, JSON, frames"},
	{"consume", "read a topic: print it, follow it, or run a command for each record"},
	{"topic", "create, list, show, set, purge and delete topics"},
	{"drain", "a group's backlog to its end: print it, or run a command for each record"},
	{"replay", "a range once more, at a rate or at the distances the records had"},
	{"group", "list, show, seek, commit, evict from and delete consumer groups"},
	{"rebalance", "partitions over the members of a group; more of them for a topic in use"},
	{"retain", "remove what is too old, too much, or read by all: for cron"},
	{"check", "verify every byte of a spool; mend what can be mended"},
	{"stat", "records, bytes, lag, age: for people, programs and monitors"},
	{"bench", "how fast it is here"},
	{"help", "mq help TOOL: its manual page"},
};
enum { TOOLS = sizeof tools / sizeof *tools };

static const char usage[] =
	"usage: mq [-S DIR] TOOL [ARGUMENT ...]\n"
	"       mq help [TOOL]\n"
	"       mq --help | --version\n"
	"\n"
	"A message queue without a server: topics are files in a spool directory.\n"
	"\n"
	"Tools (mq TOOL --help tells more; mq TOOL is the same as mq-TOOL):\n";

static const char tour[] =
	"\n"
	"A short tour; each line can be typed as it stands:\n"
	"\n"
	"  # Where the queue lives: a directory, made when it is needed.\n"
	"  export MQ_SPOOL=$HOME/mq-tour\n"
	"\n"
	"  # A line is a record. When the command ends, they are safe against power loss.\n"
	"  printf '%s\\n' one two three | mq publish orders\n"
	"\n"
	"  # Print them. Reading takes nothing away. (-f goes on, as tail -f; Ctrl-C ends it.)\n"
	"  mq consume orders\n"
	"\n"
	"  # A group keeps its place: each record goes to the command's stdin and is done\n"
	"  # when the command exits 0. The second time there is nothing left to do.\n"
	"  mq consume -g billing orders -- sh -c 'read order; echo \"billed: $order\"'\n"
	"  mq consume -g billing orders -- sh -c 'read order; echo \"billed: $order\"'\n"
	"\n"
	"  # One more, and the group is one behind.\n"
	"  mq publish -m four orders\n"
	"  mq group show -g billing\n"
	"\n"
	"  # Four partitions can be worked on at once; records of one key stay in order.\n"
	"  mq topic create clicks --partitions 4\n"
	"  mq publish -k anna -m 'page 7' clicks\n"
	"\n"
	"  # When four are too few: sixteen, while everybody goes on.\n"
	"  mq rebalance clicks --partitions 16\n"
	"\n"
	"Several groups each get every record. The members of one group share its partitions,\n"
	"and take over those of one that ends or dies the moment it does. With --share they\n"
	"are at one partition together: a work queue.\n"
	"\n"
	"More: man 7 mq\n";

static int print_help(void)
{
	fputs(usage, stdout);
	for (size_t i = 0; i < TOOLS; i++)
		printf("  %-10s %s\n", tools[i].name, tools[i].does);
	fputs(tour, stdout);
	if (fflush(stdout) == 0 || errno == EPIPE)
		return MQ_EXIT_DONE;
	fprintf(stderr, "mq: standard output: %s\n", strerror(errno));
	return MQ_EXIT_IO;
}

/* The directory of this program, with a slash; empty when the kernel does not tell. */
static const char *own_directory(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		slash[1] = '\0';
	return path;
}

static int unknown(const char *word, const char *hint)
{
	const char *names[TOOLS + 1] = {NULL}, *near;
	char visible[300];

	for (size_t i = 0; i < TOOLS; i++)
		names[i] = tools[i].name;
	near = cli_nearest(word, names);
	fprintf(stderr, "mq: %s: %s%s%s%s (mq --help lists the tools)\n", cli_visible(visible, sizeof visible, word), hint,
	        near ? "; did you mean mq " : "", near ? near : "", near ? "?" : "");
	return MQ_EXIT_USAGE;
}

static int run_tool(char **argv)
{
	char directory[PATH_MAX], path[2 * PATH_MAX], name[128], visible[300];
	const char *word = strncmp(argv[0], "mq-", 3) == 0 ? argv[0] + 3 : argv[0];

	if (!*word || strchr(word, '/') || strlen(word) > 100)
		return unknown(argv[0], "no such tool");
	snprintf(name, sizeof name, "mq-%s", word);
	snprintf(path, sizeof path, "%s%s", own_directory(directory), name);
	argv[0] = name;
	if (*directory)
		execv(path, argv);
	if (!*directory || errno == ENOENT)
		execvp(name, argv);
	if (errno == ENOENT)
		return unknown(word, "no such tool");
	fprintf(stderr, "mq: %s: %s\n", cli_visible(visible, sizeof visible, name), strerror(errno));
	return MQ_EXIT_IO;
}

/* Is there a program mq-WORD, here or in the PATH? */
static bool is_tool(const char *word)
{
	char directory[PATH_MAX], path[2 * PATH_MAX];
	const char *at = getenv("PATH");

	for (size_t i = 0; i < TOOLS; i++)
		if (strcmp(word, tools[i].name) == 0)
			return true;
	snprintf(path, sizeof path, "%smq-%s", own_directory(directory), word);
	if (*directory && access(path, X_OK) == 0)
		return true;
	while (at && *at) {
		size_t n = strcspn(at, ":");
		snprintf(path, sizeof path, "%.*s/mq-%s", (int)(n < PATH_MAX ? n : PATH_MAX), at, word);
		if (n && access(path, X_OK) == 0)
			return true;
		at += n + (at[n] == ':');
	}
	return false;
}

/* The page that belongs to these programs, installed or where they were built; else the one that man finds. */
static int run_man(const char *word)
{
	static const char *const pages[][2] = {{"mq", "7"}, {"spool", "5"}, {"mq-spool", "5"}};
	static const char *const places[] = {"../share/man/man1/", "../share/man/man5/", "../share/man/man7/", "../man/", "../../man/"};
	char directory[PATH_MAX], path[2 * PATH_MAX], name[128];
	const char *section = "1";

	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
		if (strcmp(word, pages[i][0]) == 0)
			section = pages[i][1];
	if (strchr(word, '/') || strlen(word) > 100 ||
	    (*section == '1' && !is_tool(strncmp(word, "mq-", 3) == 0 ? word + 3 : word)))
		return unknown(word, "no such page");
	snprintf(name, sizeof name, "%s%s", strncmp(word, "mq", 2) == 0 ? "" : "mq-", word);
	own_directory(directory);
	for (size_t i = 0; *directory && i < sizeof places / sizeof *places; i++) {
		snprintf(path, sizeof path, "%s%s%s.%s", directory, places[i], name, section);
		if (access(path, R_OK) == 0)
			execlp("man", "man", path, (char *)NULL);
	}
	execlp("man", "man", section, name, (char *)NULL);
	fprintf(stderr, "mq: man: %s (mq %s --help tells the most of it)\n", strerror(errno), word);
	return MQ_EXIT_CONFIG;
}

int main(int argc, char **argv)
{
	int i = 1;

	if (i < argc && strncmp(argv[i], "-S", 2) == 0) {
		const char *where = argv[i][2] ? argv[i] + 2 : argv[++i];
		if (!where || setenv("MQ_SPOOL", where, 1) < 0) {
			fprintf(stderr, "mq: -S needs the name of a directory\n");
			return MQ_EXIT_USAGE;
		}
		i++;
	}
	if (i >= argc || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
		return print_help();
	if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0)
		return printf("mq %s\n", MQ_VERSION) < 0 || fflush(stdout) ? MQ_EXIT_IO : MQ_EXIT_DONE;
	if (strcmp(argv[i], "--completion") == 0) {
		for (size_t t = 0; t < TOOLS; t++)
			puts(tools[t].name);
		return MQ_EXIT_DONE;
	}
	if (strcmp(argv[i], "help") == 0)
		return i + 1 < argc ? run_man(argv[i + 1]) : print_help();
	if (argv[i][0] == '-')
		return unknown(argv[i], "unknown option");
	return run_tool(argv + i);
}
