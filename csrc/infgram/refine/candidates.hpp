// Other words for places in a text, one after another.
//
// Not for two threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "infgram/refine/lexicon.hpp"

namespace infgram::refine {

// sbis: drawn; lexicon: a word of the corpus; exchange: a mark in place of another.
enum class Proposer : std::uint8_t { sbis, lexicon, exchange };

struct Candidate {
    std::span<const std::uint32_t> codes;
    Proposer proposer;
    std::optional<Place> place;  // where the corpus has it; of "sbis" all of it in one piece
};

// As arrays: candidate i is codes[offsets[i]..offsets[i + 1]).
struct Candidates {
    std::vector<std::uint32_t> codes;
    std::vector<std::int64_t> offsets{0};
    std::vector<std::uint8_t> proposers;
    std::vector<std::int32_t> shards;  // of the place; -1: none
    std::vector<Position> positions;

    void clear() noexcept {
        codes.clear();
        offsets.resize(1);
        proposers.clear();
        shards.clear();
        positions.clear();
    }
    void add(const Candidate& candidate) {
        codes.insert(codes.end(), candidate.codes.begin(), candidate.codes.end());
        offsets.push_back(static_cast<std::int64_t>(codes.size()));
        proposers.push_back(static_cast<std::uint8_t>(candidate.proposer));
        shards.push_back(candidate.place ? static_cast<std::int32_t>(candidate.place->shard) : -1);
        positions.push_back(candidate.place ? candidate.place->position : 0);
    }

    [[nodiscard]] std::size_t size() const noexcept { return proposers.size(); }
    // Good until more are added.
    [[nodiscard]] Candidate operator[](std::size_t i) const noexcept {
        const auto begin = static_cast<std::size_t>(offsets[i]);
        Candidate found{
            std::span(codes).subspan(begin, static_cast<std::size_t>(offsets[i + 1]) - begin),
            static_cast<Proposer>(proposers[i]), std::nullopt};
        if (shards[i] >= 0) found.place = {static_cast<std::uint32_t>(shards[i]), positions[i]};
        return found;
    }
};

}  // namespace infgram::refine
