// Chains: all levels of a context, longest first, and how they move when the context grows.
//
// A shard has its own chain. The levels of the whole index come from all of them: at context
// length n a shard contributes the range of its shortest level that is at least n long.
//
// Not for two threads on one chain.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

using Chain = std::vector<Level>;  // longest first; each range holds the one before, and more

inline constexpr std::uint32_t unbounded = 0xffffffff;  // a window that sees everything

// Whether a level may stand behind another one in a chain.
constexpr bool is_wider(const Level& level, const Level& before) noexcept {
    return level.n < before.n && level.range.begin <= before.range.begin &&
           level.range.end >= before.range.end && level.range != before.range;
}

// Replaces the levels by their images: the levels that end in `code`, which is not the boundary.
// Returns the rows of the last one. Throws CorruptIndex; the chain is then empty.
template <class Code>
std::uint32_t replace_by_images(const Shard<Code>& shard, Chain& chain, std::uint32_t code) {
    if (chain.empty()) return 0;
    for (const Level& level : chain) shard.rank().prefetch(code, level.range);
    typename Shard<Code>::Images images(shard, code, chain.front().range);
    std::size_t kept = 0;
    std::uint32_t size = 0;  // of the level kept last
    try {
        for (const Level level : chain) {
            const Range image = images(level.range);
            // A level that gains no row over a longer one is not a level: it is overwritten.
            chain[kept] = {level.n + 1, image};
            kept += image.size() > size ? 1 : 0;
            size = image.size();
        }
        images.check();
    } catch (...) {
        chain.clear();  // some are images that lie anywhere
        throw;
    }
    chain.resize(kept);
    return size;
}

// The chain after reading `code`. O(levels) ranks. The boundary starts a new document: nothing
// before it is a context any more.
template <class Code>
void advance(const Shard<Code>& shard, Chain& chain, std::uint32_t code) {
    if (code == boundary || code >= shard.n_codes()) chain.clear();
    const std::uint32_t size = replace_by_images(shard, chain, code);
    const Range bucket = shard.bucket(code);
    if (bucket.size() > size) chain.push_back({1, bucket});
}

// Forgets what lies more than `window` tokens back.
inline void trim(Chain& chain, std::uint32_t window) {
    std::size_t unseen = 0;
    while (unseen + 1 < chain.size() && chain[unseen + 1].n >= window) ++unseen;
    if (unseen != 0)
        chain.erase(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(unseen));
    if (!chain.empty() && chain.front().n > window) chain.front().n = window;
}

// The rows whose contexts end in the n tokens read last; none where fewer than n occur.
[[nodiscard]] inline Range rows_of(const Chain& chain, std::uint32_t n) noexcept {
    Range rows;
    for (const Level& level : chain) {
        if (level.n < n) break;
        rows = level.range;
    }
    return rows;
}

// Reads a code in every shard, or Alphabet::unknown, behind which nothing is context any more.
template <class Code>
void advance_all(std::span<const Shard<Code>> shards, std::span<Chain> chains, std::uint32_t code,
                 std::uint32_t window) {
    for (std::size_t s = 0; s < shards.size(); ++s) {
        if (code == Alphabet::unknown)
            chains[s].clear();
        else
            advance(shards[s], chains[s], code);
        trim(chains[s], window);
    }
}

// Calls visit(n, ranges) for each length at which the rows of a shard change, longest first, while
// it returns true: with one range a shard, empty where it has no match of that length.
template <class Code, class Visit>
void for_each_length(std::span<const Shard<Code>> shards, std::span<const Chain> chains,
                     std::vector<Range>& ranges, Visit&& visit) {
    ranges.assign(shards.size(), Range{});
    std::vector<std::size_t> at(shards.size(), 0);
    while (true) {
        std::uint32_t n = 0;
        for (std::size_t s = 0; s < shards.size(); ++s)
            if (at[s] < chains[s].size()) n = std::max(n, chains[s][at[s]].n);
        if (n == 0) return;
        for (std::size_t s = 0; s < shards.size(); ++s)
            if (at[s] < chains[s].size() && chains[s][at[s]].n == n)
                ranges[s] = chains[s][at[s]++].range;
        if (!visit(n, std::span<const Range>(ranges))) return;
    }
}

// What `of(shard, range)` says of ranges, one a shard, together: of those that were removed it is
// taken away. Throws CorruptIndex where more was removed than there is.
template <class Code, class Of>
[[nodiscard]] std::uint64_t total(std::span<const Shard<Code>> shards,
                                  std::span<const Range> ranges, Of&& of) {
    std::int64_t sum = 0;
    for (std::size_t s = 0; s < shards.size(); ++s)
        sum += shards[s].sign() * static_cast<std::int64_t>(of(shards[s], ranges[s]));
    if (sum < 0) throw_corrupt("buckets");
    return static_cast<std::uint64_t>(sum);
}

// Rows of ranges that have a next token.
template <class Code>
[[nodiscard]] std::uint64_t total_m(std::span<const Shard<Code>> shards,
                                    std::span<const Range> ranges) {
    return total(shards, ranges,
                 [](const Shard<Code>& shard, Range range) { return shard.m(range); });
}
template <class Code>
[[nodiscard]] std::uint64_t total_m(std::span<const Shard<Code>> shards) {
    std::vector<Range> all;
    for (const auto& shard : shards) all.push_back(shard.all());
    return total_m(shards, std::span<const Range>(all));
}

// How many of the tokens read last stand in the corpus as one run.
template <class Code>
[[nodiscard]] std::uint32_t longest_match(std::span<const Shard<Code>> shards,
                                          std::span<const Chain> chains) {
    std::uint32_t longest = 0;
    if (!any_removed(shards)) {
        for (const Chain& chain : chains)
            if (!chain.empty()) longest = std::max(longest, chain.front().n);
        return longest;
    }
    std::vector<Range> ranges;
    for_each_length(shards, chains, ranges, [&](std::uint32_t n, std::span<const Range> at) {
        const auto size = [](const Shard<Code>&, Range range) { return range.size(); };
        if (total(shards, at, size) != 0) longest = n;
        return longest == 0;
    });
    return longest;
}

// Calls visit(n, m, ranges) for the first k levels of the index (k < 0: all), longest first, with
// one range a shard (empty where the shard has no match). A level counts when its m is larger than
// that of the level before.
template <class Code, class Visit>
void for_each_level(std::span<const Shard<Code>> shards, std::span<const Chain> chains, int k,
                    std::vector<Range>& ranges, Visit&& visit) {
    std::uint64_t last_m = 0;
    const auto emit = [&](std::uint32_t n, std::uint64_t m, std::span<const Range> at) {
        if (m <= last_m) return true;
        last_m = m;
        visit(n, m, at);
        return --k != 0;
    };
    if (k == 0) return;
    if (shards.size() == 1) {
        for (const Level& level : chains[0]) {
            const std::uint64_t m = shards[0].m(level.range);
            if (!emit(level.n, m, std::span(&level.range, 1))) return;
        }
        return;
    }
    for_each_length(shards, chains, ranges, [&](std::uint32_t n, std::span<const Range> at) {
        return emit(n, total_m(shards, at), at);
    });
}

}  // namespace infgram
