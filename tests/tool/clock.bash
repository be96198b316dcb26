# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's clock stays where it is: a program is told another CLOCK_REALTIME, from its start on or, while it runs, as often
# as somebody sets it.
clock_made() {
	[ -e clock.so ] || cat > clock.c <<-'END' && ${CC:-cc} -shared -fPIC -o clock.so clock.c -ldl
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <fcntl.h>
		#include <stdlib.h>
		#include <time.h>
		#include <unistd.h>
		int clock_gettime(clockid_t which, struct timespec *ts)
		{
			static int (*real)(clockid_t, struct timespec *);
			if (!real)
				*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
			int rc = real(which, ts), fd;
			if (which != CLOCK_REALTIME)
				return rc;
			if (getenv("CLOCK_OFF"))
				ts->tv_sec += atol(getenv("CLOCK_OFF"));
			if (getenv("CLOCK_FILE") && (fd = open(getenv("CLOCK_FILE"), O_RDONLY | O_CLOEXEC)) >= 0) {
				char by[32] = "";
				if (read(fd, by, sizeof by - 1) > 0)
					ts->tv_sec += atol(by);
				close(fd);
			}
			return rc;
		}
	END
}

clock_off() { # SECONDS COMMAND ...
	local by=$1
	shift
	clock_made
	ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS-}" CLOCK_OFF=$by LD_PRELOAD=$PWD/clock.so "$@"
}

clock_set() { # SECONDS: for what clock_follows
	echo "$1" > clock.new
	mv clock.new clock.by
}

clock_follows() { # COMMAND ...
	clock_made
	ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS-}" CLOCK_FILE=$PWD/clock.by LD_PRELOAD=$PWD/clock.so "$@"
}
