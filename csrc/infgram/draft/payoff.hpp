// How large a draft pays: the size that gives the most tokens for the time of a step of the target.
//
// Not for two threads.
#pragma once

#include <cstddef>
#include <span>

namespace infgram::draft {

class Payoff {
public:
    // cost[n]: of a step of the target with n drafted tokens; empty: every token pays.
    explicit Payoff(std::span<const double> cost) : cost_(cost) {
        if (!cost_.empty()) best_ = tokens_ / cost_[0];
    }

    // Whether a larger draft may be better, whose next tokens are accepted with at most this
    // probability each. Costs may have steps, behind which they rise slowly.
    [[nodiscard]] bool can_grow(double prob) const noexcept {
        if (cost_.empty()) return true;
        double tokens = tokens_;
        for (std::size_t n = size_ + 1; n < cost_.size(); ++n) {
            tokens += prob;
            if (tokens / cost_[n] > best_) return true;
        }
        return false;
    }
    // Whether one more token makes it better.
    [[nodiscard]] bool grows(double prob) const noexcept {
        return cost_.empty() || (size_ + 1 < cost_.size() &&
                                 (tokens_ + prob) / cost_[size_ + 1] > tokens_ / cost_[size_]);
    }
    void add(double prob) noexcept {
        ++size_;
        tokens_ += prob;
        if (cost_.empty()) {
            best_size_ = size_;
        } else if (size_ < cost_.size() && tokens_ / cost_[size_] > best_) {
            best_ = tokens_ / cost_[size_];
            best_size_ = size_;
        }
    }
    // Of the sizes so far.
    [[nodiscard]] std::size_t best_size() const noexcept { return best_size_; }

private:
    std::span<const double> cost_;
    double tokens_ = 1.0;  // the target's own
    double best_ = 0.0;    // tokens for a step's time
    std::size_t size_ = 0;
    std::size_t best_size_ = 0;
};

}  // namespace infgram::draft
