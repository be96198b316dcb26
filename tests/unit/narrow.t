#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What is counted 32 bytes at once on this processor is counted 16 at once on another: the same tests, there.
exec env GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2 "${MQ_BUILD:-.}/tests/unit/test_base"
