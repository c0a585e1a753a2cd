#include "inline.h"

volatile unsigned input = 3;

static inline __attribute__((always_inline)) unsigned hash(unsigned count)
{
    unsigned state = 2166136261u;
    for (unsigned i = 0; i < count; i++)
        state = mix(state, input);
    return state;
}

__attribute__((noinline)) unsigned entry(unsigned count)
{
    unsigned state = hash(count);
    if (count > 100)
        state = mix(state, count);
    return state + rotate(input);
}

__attribute__((noinline)) static unsigned twice(unsigned count) { return entry(count) ^ entry(count + input); }

int main(void) { return (int)(twice(input) & 1); }
