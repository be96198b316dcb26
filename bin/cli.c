/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the signal handlers know; nothing else here is global. */
static struct mq *stop_session;
static volatile sig_atomic_t stop_signal, pipe_gone;

struct cli_kept {
	struct cli_kept *next;
	max_align_t data[];
};

static void on_stop(int signal_number)
{
	stop_signal = signal_number;
	mq_stop(stop_session);
}

/* Beyond a limit on file sizes (setrlimit) the write fails, and is told as any that fails. */
static void on_size_limit(int signal_number)
{
	(void)signal_number;
}

static void on_pipe(int signal_number)
{
	(void)signal_number;
	pipe_gone = 1;
}

/*
 * A stop signal is obeyed once and cleanly; the second one kills (SA_RESETHAND), which is safe at any
 * moment, only less tidy.  A signal that the parent ignores stays ignored (nohup).  SIGPIPE and SIGXFSZ
 * are caught, not ignored, so that what we start, which inherits what is ignored, begins with their defaults.
 */
static void catch_signals(struct mq *mq)
{
	static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction old, stop = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};
	struct sigaction gone = {.sa_handler = on_pipe, .sa_flags = SA_RESTART};
	struct sigaction too_large = {.sa_handler = on_size_limit, .sa_flags = SA_RESTART};

	stop_session = mq;
	for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
		if (sigaction(stops[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(stops[i], &stop, NULL);
	sigaction(SIGPIPE, &gone, NULL);
	sigaction(SIGXFSZ, &too_large, NULL);
}

/*
 * A closed standard descriptor would be given to the next file that is opened, and a message meant for
 * stderr would land in a segment.  What fills the gap fails when it is used the wrong way round.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static void on_notice(void *arg, int level, const char *text)
{
	struct cli *cli = arg;

	if (level == 0 || cli->verbose || (level == 2 && isatty(STDERR_FILENO)))
		cli_say(cli, "%s", text);
}

int cli_start(struct cli *cli, const struct cli_tool *tool, int argc, char **argv)
{
	int status;

	fill_standard_descriptors();
	cli->tool = tool;
	cli->timeout_ns = -1;
	cli->mq = mq_new();
	if (!cli->mq) {
		fprintf(stderr, "%s: out of memory\n", tool->name);
		return MQ_EXIT_IO;
	}
	status = cli_parse(cli, argc, argv);
	if (status == CLI_GO) {
		mq_set_notice(cli->mq, on_notice, cli);
		mq_set_timeout(cli->mq, cli->timeout_ns);
		catch_signals(cli->mq);
	}
	return status;
}

/* 0, or 74 with the reason printed: output that did not arrive is a failure, whatever went before. */
static int close_stdout(struct cli *cli)
{
	bool failed = ferror(stdout) != 0; /* of long ago: its errno is gone */
	int reason = 0;

	if (fflush(stdout) != 0) {
		failed = true;
		reason = errno;
	}
	if (fclose(stdout) != 0 && !failed && !(cli->tool->library_writes && errno == EBADF)) {
		failed = true;
		reason = errno;
	}
	if (!failed || (pipe_gone && (cli->tool->quiet_pipe || cli->tool->library_writes)))
		return 0;
	fprintf(stderr, "%s: standard output: %s\n", cli->tool->name,
	        pipe_gone ? "the reader is gone" : reason ? strerror(reason) : "write error");
	return MQ_EXIT_IO;
}

int cli_end(struct cli *cli, int status)
{
	int closed = close_stdout(cli);

	if (closed && (status == MQ_EXIT_DONE || status == MQ_EXIT_NOTHING))
		status = closed;
	/* From here on a stop signal finds no session; it may kill as it always does. */
	for (const int *s = (const int[]){SIGINT, SIGTERM, SIGHUP, 0}; *s; s++) {
		struct sigaction now;
		if (sigaction(*s, NULL, &now) == 0 && now.sa_handler == on_stop)
			signal(*s, SIG_DFL);
	}
	mq_free(cli->mq);
	while (cli->kept) {
		struct cli_kept *next = cli->kept->next;
		free(cli->kept);
		cli->kept = next;
	}
	/* All is tidy; a shell that runs us must learn that it was interrupted, as from any other command. */
	if (stop_signal)
		raise(stop_signal);
	return status;
}

int cli_open(struct cli *cli, unsigned flags)
{
	const char *where = cli->spool, *home;
	char *path;

	if (!where)
		where = getenv("MQ_SPOOL");
	if (where && !*where && cli->spool)
		return cli_usage(cli, "-S needs the name of a directory");
	if ((!where || !*where) && geteuid() == 0)
		where = "/var/spool/mq";
	if (!where || !*where) {
		static const char below_home[] = "/.local/state/mq";
		home = getenv("HOME");
		if (!home || *home != '/') {
			fprintf(stderr, "%s: no spool: HOME is not set; name a directory with -S or MQ_SPOOL\n", cli->tool->name);
			return MQ_EXIT_CONFIG;
		}
		path = cli_keep(cli, strlen(home) + sizeof below_home);
		if (!path)
			return MQ_EXIT_IO;
		where = strcat(strcpy(path, home), below_home);
	}
	return mq_open(cli->mq, where, flags) < 0 ? cli_fail(cli) : 0;
}

int cli_fail(struct cli *cli)
{
	char why[4096];
	int status = mq_status(cli->mq);

	fprintf(stderr, "%s: %s\n", cli->tool->name, cli_visible(why, sizeof why, mq_why(cli->mq)));
	return status ? status : MQ_EXIT_IO;
}

static void print_line(const struct cli *cli, const char *hint, const char *format, va_list args)
{
	char text[2048], visible[4096];

	vsnprintf(text, sizeof text, format, args);
	fprintf(stderr, "%s: %s%s\n", cli->tool->name, cli_visible(visible, sizeof visible, text), hint);
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	char hint[128];
	va_list args;

	snprintf(hint, sizeof hint, " (see %s --help)", cli->tool->name);
	va_start(args, format);
	print_line(cli, hint, format, args);
	va_end(args);
	return MQ_EXIT_USAGE;
}

int cli_error(struct cli *cli, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(cli, "", format, args);
	va_end(args);
	return status;
}

void cli_say(struct cli *cli, const char *format, ...)
{
	va_list args;

	if (cli->quiet)
		return;
	va_start(args, format);
	print_line(cli, "", format, args);
	va_end(args);
}

bool cli_given(const struct cli *cli, const char *name)
{
	const struct cli_option *o;

	for (size_t i = 0; (o = cli_option_at(cli->tool, i)); i++)
		if (cli->given[i] && o->name && strcmp(o->name, name) == 0)
			return true;
	return false;
}

int cli_topic(struct cli *cli, struct mq_operand *ret)
{
	const char *text = cli->topic;

	if (!text) {
		if (cli->n_operands == 0)
			return cli_usage(cli, "which topic?");
		text = cli->operands[0];
		cli->operands++;
		cli->n_operands--;
	}
	return mq_parse_operand(cli->mq, text, ret) < 0 ? cli_fail(cli) : 0;
}

bool cli_stopped(void)
{
	return stop_signal != 0;
}

void *cli_keep(struct cli *cli, size_t size)
{
	struct cli_kept *kept = calloc(1, sizeof *kept + size);

	if (!kept) {
		fprintf(stderr, "%s: out of memory\n", cli->tool->name);
		return NULL;
	}
	kept->next = cli->kept;
	cli->kept = kept;
	return kept->data;
}
