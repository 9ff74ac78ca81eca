// A controller in the manner of ros2_control, without ROS: configured once, then updated every period. After
// on_configure nothing is allocated, locked or thrown, and the time of an update does not depend on the data.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "tanhlut.h"

namespace example {

enum class CallbackReturn { SUCCESS, FAILURE };
enum class return_type { OK, ERROR };

// What a policy says of each joint: the normal distribution that tanh squashes.
template <std::size_t Joints>
struct Gaussian {
    std::array<float, Joints> loc;
    std::array<float, Joints> scale;
};

template <std::size_t Joints>
class SquashedPolicyController {
public:
    // Before real time begins. FAILURE where this build does not compute what was proven, or the bounds are none.
    CallbackReturn on_configure(float low, float high)
    {
        if (tanhlut_selftest() != 0 || std::isnan(tanhlut_mode_bounded(0.0f, 0.5f, low, high)))
            return CallbackReturn::FAILURE;
        low_ = low;
        high_ = high;
        command_.fill(tanhlut_mode_bounded(0.0f, 0.5f, low, high));
        return CallbackReturn::SUCCESS;
    }

    // Every period. A NaN from the policy leaves the joint's command as it was, and says so.
    return_type update(const Gaussian<Joints> &policy) noexcept
    {
        return_type result = return_type::OK;
        for (std::size_t i = 0; i < Joints; ++i) {
            const float action = tanhlut_mode_bounded(policy.loc[i], policy.scale[i], low_, high_);
            if (std::isnan(action))
                result = return_type::ERROR;
            else
                command_[i] = action;
        }
        return result;
    }

    const std::array<float, Joints> &command() const noexcept { return command_; }

private:
    float low_ = -1.0f, high_ = 1.0f;
    std::array<float, Joints> command_{};
};

}  // namespace example
