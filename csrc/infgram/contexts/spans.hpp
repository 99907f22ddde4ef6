// The spans of a text that stand in the corpus, and the rows of each, in one pass over the text.
//
// A span stands in the corpus as one run of tokens. It may be asked to begin and to end at some
// places alone, and to reach back no further than others. A maximal span lies within no longer one
// of which the same is true.
//
// Thread-safety: any number of threads may ask; each call has its own state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/index.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

struct Spans {
    std::vector<std::uint32_t> bounds;  // of each span its begin and its end, in tokens of the text
    std::vector<Row> rows;              // of each span and each shard: begin, end
};

// Where spans may stand in a text of n tokens.
struct Places {
    // Of each place from 0 to n, the first one from there on where a span may begin.
    std::span<const std::uint32_t> begins;
    // Of each token, the first place where a span may begin that ends behind it: n where none may.
    std::span<const std::uint32_t> earliest;
};

// All maximal spans, as they follow each other in the text: their begins rise, and their ends.
// O(levels) ranks a token and shard, as match lengths: the levels of a place tell the rows of every
// length. Throws InvalidParameter, NeedsMerge.
template <class Code, class Token>
[[nodiscard]] Spans maximal_spans(const Index<Code>& index, std::span<const Token> tokens,
                                  const Places& places) {
    const auto n_tokens = static_cast<std::uint32_t>(tokens.size());
    if (tokens.size() >= unbounded || places.begins.size() != tokens.size() + 1 ||
        places.earliest.size() != tokens.size())
        throw InvalidParameter("expected a place for each token, and one behind them");
    Spans found;
    const auto shards = index.additive();
    std::vector<Chain> chains(shards.size());
    std::uint32_t last = n_tokens;  // where the span begins that ends last so far; it may grow
    for (std::uint32_t i = 0; i < n_tokens; ++i) {
        index.advance_chains(chains, tokens[i], unbounded);
        const std::uint32_t longest = longest_match(shards, std::span<const Chain>(chains));
        if (longest > i + 1) throw_corrupt("rank");
        const std::uint32_t reached = std::max(i + 1 - longest, places.earliest[i]);
        if (reached > n_tokens) throw InvalidParameter("a place lies outside the text");
        const std::uint32_t begin = places.begins[reached];
        if (begin < reached) throw InvalidParameter("a span would begin before it may");
        if (begin > i) continue;
        if (begin == last) {
            found.bounds.resize(found.bounds.size() - 2);
            found.rows.resize(found.rows.size() - 2 * chains.size());
        }
        last = begin;
        found.bounds.insert(found.bounds.end(), {begin, i + 1});
        for (const Chain& chain : chains) {
            const Range rows = rows_of(chain, i + 1 - begin);
            found.rows.insert(found.rows.end(), {rows.begin, rows.end});
        }
    }
    return found;
}

}  // namespace infgram
