// Next tokens of a context and what speaks for each: the sum of what all levels of all sources give
// it.
//
// Not for two threads: the engine takes turns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/types.hpp"

namespace infgram::draft {

enum class Origin : std::uint8_t { live, session, corpus };
inline constexpr std::size_t n_origins = 3;

// The longest level that knows a token, which was asked first.
struct Support {
    std::uint32_t n;
    Origin origin;
};

struct Candidate {
    std::uint32_t token;
    double prob;
    Support support;
};

// A set of candidates by token id, made once and used for one context after another.
class Candidates {
public:
    explicit Candidates(std::uint32_t vocab_size) : slot_of_(vocab_size, none) {}

    void clear() noexcept {
        for (const Candidate& candidate : found_) slot_of_[candidate.token] = none;
        found_.clear();
    }

    [[nodiscard]] std::span<const Candidate> all() const noexcept { return found_; }
    [[nodiscard]] bool has(std::uint32_t token) const noexcept { return slot_of_[token] != none; }

    // Tokens outside the vocabulary are nobody's candidates: their probability is lost.
    void add(std::uint32_t token, double prob, const Support& support) {
        if (token >= slot_of_.size()) return;
        std::uint32_t& slot = slot_of_[token];
        if (slot == none) {
            slot = static_cast<std::uint32_t>(found_.size());
            found_.push_back({token, prob, support});
        } else {
            found_[slot].prob += prob;
        }
    }

    // Adds what prob_of(token) says to each candidate there is.
    template <class ProbOf>
    void add_to_all(ProbOf&& prob_of) {
        for (Candidate& candidate : found_) candidate.prob += prob_of(candidate.token);
    }

private:
    static constexpr std::uint32_t none = ~0u;

    std::vector<Candidate> found_;
    std::vector<std::uint32_t> slot_of_;  // by token
};

}  // namespace infgram::draft
