// What a text that grows says about a context: the request's own, or what was written before it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "infgram/draft/source.hpp"
#include "infgram/live.hpp"

namespace infgram::draft {

// Token ids as the codes of a text that grows, where 0 is the boundary.
inline std::uint32_t live_code(std::uint32_t token) noexcept { return token + 1; }

class GrowingSource {
public:
    explicit GrowingSource(Origin origin) : origin_(origin) {}

    // Finds the levels of what the end of the text becomes with more codes behind it.
    void look(const LiveText& text, std::span<const std::uint32_t> more) {
        text_ = &text;
        levels_.clear();
        if (!text.empty()) text.find_levels(more, levels_);
        left_ = levels_.size();
        if (left_ != 0) read_statistics();
    }

    // Tokens of the next level to be read, the longest first; nothing when all were read.
    [[nodiscard]] std::optional<std::uint32_t> next() const noexcept {
        return left_ != 0 ? std::optional(levels_[left_ - 1].n) : std::nullopt;
    }
    [[nodiscard]] std::uint32_t longest() const noexcept {
        return levels_.empty() ? 0 : levels_.back().n;
    }

    // Reads the next level: `rest` times its probabilities; returns the share that it keeps back.
    double read(const Discounts& discounts, DiscountMemo& memo, const Reach& reach, double rest,
                Candidates& candidates) {
        const LiveLevel level = levels_[--left_];
        const ContinuationStatistics statistics = statistics_;
        if (left_ != 0) read_statistics();
        const std::uint32_t n_types = statistics.n_types();
        const Discount kept = memo(discounts,
                                   {level.n, left_ != 0 ? levels_[left_ - 1].n : 0, n_types,
                                    left_ != 0 ? statistics_.n_types() : 0, statistics.m,
                                    reach.corpus, reach.live, statistics.types[0] == n_types},
                                   true);
        const double scale = rest / statistics.total;
        if (n_types <= many_types) {
            text_->for_each_token(level, [&](const Continuation& token, std::uint32_t) {
                if (token.code != boundary)
                    candidates.add(token.code - 1, scale * discounted(token, kept),
                                   {level.n, origin_});
            });
        } else {
            candidates.add_to_all([&](std::uint32_t id) {
                const auto found = text_->token(level, live_code(id));
                return found ? scale * discounted(*found, kept) : 0.0;
            });
        }
        return kept_back(kept, statistics);
    }

private:
    void read_statistics() { statistics_ = text_->statistics(levels_[left_ - 1]); }

    Origin origin_;
    const LiveText* text_ = nullptr;
    std::vector<LiveLevel> levels_;      // shortest first
    std::size_t left_ = 0;               // levels that were not read
    ContinuationStatistics statistics_;  // of the next one
};

}  // namespace infgram::draft
