// Where drafts come from: a source tells what followed a context, level by level, as interpolated
// Kneser-Ney does (kneser_ney.hpp). Levels of several sources are read as one list, the longest
// first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infgram/discounts.hpp"
#include "infgram/draft/candidates.hpp"

namespace infgram::draft {

// How long the longest levels of a context are, in the corpora and in texts that grow.
struct Reach {
    std::uint32_t corpus = 0;
    std::uint32_t live = 0;
};

// A level with more next tokens adds to candidates there are, and names its heaviest alone.
inline constexpr std::uint32_t many_types = 24;
inline constexpr std::size_t n_heaviest = 10;

// The share of its tokens that a level keeps back for the shorter ones.
inline double kept_back(const Discount& kept, const ContinuationStatistics& level) noexcept {
    double sum = 0.0;
    for (std::size_t k = 0; k < 3; ++k) sum += kept[k] * level.types[k];
    return sum / level.total;
}

// What a level gives to a token, before it is divided by the level's total.
inline double discounted(const Continuation& token, const Discount& kept) noexcept {
    return token.count - kept[std::min(token.contexts, 3u) - 1];
}

}  // namespace infgram::draft
