/* A control loop in a timer's interrupt: 1 kB of code, no heap, no library, the same number of instructions each time.
 * For a Cortex-M4F:
 *   arm-none-eabi-gcc -std=c99 -O2 -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -ffreestanding -c ... */
#include "tanhlut.h"

#define TORQUE 2.0f

/* The board's and the policy's: sensors in, loc and scale of the torque out; the motor; a lamp. */
void board_start_timer(void);
void board_sleep(void);
void board_fault(void);
void board_set_torque(float torque);
void policy_forward(float *loc, float *scale);

void timer_interrupt(void);
void timer_interrupt(void)
{
    float loc, scale, torque;
    policy_forward(&loc, &scale);
    torque = tanhlut_mode_bounded(loc, scale, -TORQUE, TORQUE);
    board_set_torque(torque == torque ? torque : 0.0f); /* NaN: the policy's */
}

int main(void)
{
    if (tanhlut_selftest() != 0) /* subnormals flushed, products fused, or a flash that lost a bit */
        board_fault();
    board_start_timer();
    for (;;)
        board_sleep();
}
