/* Larger than the distance from address 0, where a linker moves the description of a function that it drops, to the
   code of a position-independent program. */
void dropped(void) { __asm__ volatile(".fill 65536, 1, 0"); }

__attribute__((noinline)) int kept(int value) { return value + 1; }

int main(int count, char **arguments)
{
    (void)arguments;
    return kept(count);
}
