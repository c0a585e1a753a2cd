static inline __attribute__((always_inline)) unsigned rotate(unsigned value) { return value << 5 | value >> 27; }

static inline __attribute__((always_inline)) unsigned mix(unsigned state, unsigned value)
{
    {
        unsigned turned = rotate(state);
        return (turned ^ value) * 16777619u;
    }
}
