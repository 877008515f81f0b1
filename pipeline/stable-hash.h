#ifndef PIPELINE_STABLE_HASH_H
#define PIPELINE_STABLE_HASH_H 1

/* Hashes whose values are part of what nodes agree on, or stay in the switch over a restart: the same on
 * every machine and in every build.  (Open vSwitch's hash_bytes() differs with the processor.)
 *
 * FNV-1a, 64 bits: Fowler, Noll, Vo; draft-eastlake-fnv, section 2 (offset basis and prime there). */

#include <stddef.h>
#include <stdint.h>

#define STABLE_HASH_BASIS UINT64_C(0xcbf29ce484222325)

static inline uint64_t
stable_hash_bytes(const void *data, size_t n, uint64_t basis)
{
    const uint8_t *p = data;
    uint64_t hash = basis;

    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* A good avalanche for FNV's weak high bits: the finalizer of splitmix64 (Steele, Lea, Flood: "Fast
 * splittable pseudorandom number generators", 2014, with Stafford's constants, variant 13). */
static inline uint64_t
stable_hash_finish(uint64_t hash)
{
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

uint64_t stable_hash_string(const char *);

#endif /* pipeline/stable-hash.h */
