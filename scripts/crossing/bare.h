/* A start without a library on a Cortex-M under an emulator that does semihosting: says with put, ends with leave. */
extern uint32_t stack_top;
void reset(void);
int main(void);
__attribute__((section(".vectors"), used)) void *const vectors[] = {&stack_top, (void *)reset, (void *)reset,
                                                                    (void *)reset};
static int ask(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
static void put(const char *text) { ask(4, text); }
static void leave(void) { ask(0x18, (const void *)0x20026); }
__attribute__((naked)) void reset(void)
{
#ifdef __ARM_FP
    /* in two halves: a literal would lie beyond the code, which may be farther than a load reaches */
    __asm__ volatile("movw r0, #0xED88\n movt r0, #0xE000\n ldr r1, [r0]\n orr r1, r1, #0xF00000\n str r1, [r0]\n"
                     "dsb\n isb\n");
#endif
    __asm__ volatile("bl main\n b .\n");
}
