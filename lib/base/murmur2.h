/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which partition a keyed record belongs to: as Kafka's default partitioner decides it, so that a
 * topic moved between the two keeps its keys where they were.  Kafka's Utils.murmur2 is Austin
 * Appleby's MurmurHash2 with the seed 0x9747b28c; toPositive clears the sign bit.
 */
#ifndef MQ_BASE_MURMUR2_H
#define MQ_BASE_MURMUR2_H

#include <stddef.h>
#include <stdint.h>

uint32_t mq_murmur2(const void *bytes, size_t n);

/* toPositive(murmur2(key)) % partitions; partitions ≥ 1. */
uint32_t mq_partition_of_key(const void *key, size_t n, uint32_t partitions);

#endif
