// An index: an alphabet and its shards. Token ids in, token ids out; counts add up over shards, and
// those of removed documents are taken away.
//
// Ownership: none, as for Shard. Thread-safety: const methods may run in parallel.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/histogram.hpp"
#include "infgram/contexts/side_by_side.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/shard.hpp"

namespace infgram {

// A level of the whole index: `n` tokens of context matched, `m` matches that have a next token.
struct IndexLevel {
    std::uint32_t n;
    std::uint64_t m;
};

template <class Code>
class Index {
public:
    Index(Alphabet alphabet, std::vector<Shard<Code>> shards)
        : alphabet_(std::move(alphabet)), shards_(std::move(shards)) {
        if (shards_.empty()) throw InvalidParameter("an index has at least one shard");
        if (n_codes_of(parts()) != alphabet_.n_codes()) throw_corrupt("buckets");
        has_grown_ = std::ranges::any_of(shards_, &Shard<Code>::has_grown);
        has_removed_ = any_removed(parts());
        for (const auto& shard : shards_)
            if (!has_grown_ && shard.n_codes() != alphabet_.n_codes()) throw_corrupt("buckets");
        if (has_grown_ && !has_removed_)
            for (const auto& shard : shards_) apart_.push_back(shard.alone());
    }

    [[nodiscard]] const Alphabet& alphabet() const noexcept { return alphabet_; }
    // All shards, for who minds what Shard says of an index that has grown.
    [[nodiscard]] std::span<const Shard<Code>> parts() const noexcept { return shards_; }
    // The same for who minds but what was removed. Throws NeedsMerge where something was.
    [[nodiscard]] std::span<const Shard<Code>> additive() const {
        if (has_removed_) throw_needs_merge();
        return shards_;
    }
    // The same for who counts contexts of each shard apart: no document follows another one's
    // there, so that the last one of a text has no end. Throws NeedsMerge where something was
    // removed.
    [[nodiscard]] std::span<const Shard<Code>> apart() const {
        if (has_removed_) throw_needs_merge();
        return has_grown_ ? apart_ : shards_;
    }
    // The same for all others. Throws NeedsMerge where the index has grown.
    [[nodiscard]] std::span<const Shard<Code>> shards() const {
        if (has_grown_) throw_needs_merge();
        return shards_;
    }
    [[nodiscard]] const Shard<Code>& shard(std::size_t s) const {
        if (s >= shards_.size()) throw InvalidParameter("there is no such shard");
        return shards_[s];
    }

    // All rows, one range a shard.
    [[nodiscard]] std::vector<Range> everything() const {
        std::vector<Range> ranges;
        for (const auto& shard : shards_) ranges.push_back(shard.all());
        return ranges;
    }

    [[nodiscard]] std::uint64_t n_rows() const noexcept {
        std::uint64_t n = 0;
        for (const auto& shard : shards_) n += shard.n_rows();
        return n;
    }

    // Of rows of a shard, the positions behind their contexts.
    [[nodiscard]] std::vector<Position> positions(std::size_t s, std::span<const Row> rows) const {
        const Shard<Code>& of = shard(s);
        std::vector<Position> positions;
        for (const Row row : rows) {
            if (row >= of.n_rows()) throw InvalidParameter("row outside the shard");
            positions.push_back(of.position(row));
        }
        return positions;
    }
    // The token ids between two positions of a shard.
    [[nodiscard]] std::vector<std::uint32_t> tokens(std::size_t s, std::size_t begin,
                                                    std::size_t end) const {
        if (begin > end || end > shard(s).n_rows())
            throw InvalidParameter("positions outside the shard");
        std::vector<Code> scratch;
        std::vector<std::uint32_t> token_ids;
        token_ids.reserve(end - begin);
        for (const Code code :
             shard(s).text(static_cast<Position>(begin), static_cast<Position>(end), scratch))
            token_ids.push_back(alphabet_.token_id(code));
        return token_ids;
    }

    // Occurrences of the n-gram; of the empty one, the tokens of the corpus. O(n) ranks a shard.
    template <class Token>
    [[nodiscard]] std::uint64_t count(std::span<const Token> ngram) const {
        const Codes codes(*this, ngram);
        if (codes.known().size() != ngram.size()) return 0;
        if (ngram.empty()) return n_tokens();
        std::int64_t total = 0;
        for (const auto& shard : shards_) {
            auto search = shard.begin_count(codes.known());
            while (shard.step(search)) {
            }
            total += shard.sign() * search.range.size();
        }
        return static_cast<std::uint64_t>(total);
    }

    // The same in many shards, side by side. Not inlined: the one above would become slower.
    template <class Token>
    [[nodiscard, gnu::noinline]] std::uint64_t count_in_many(std::span<const Token> ngram) const {
        const std::array<std::int64_t, 2> offsets{0, static_cast<std::int64_t>(ngram.size())};
        std::int64_t count = 0;
        count_lanes(ngram, std::span(offsets), std::span(&count, 1));
        return static_cast<std::uint64_t>(count);
    }

    // Occurrences of many n-grams: n-gram i is flat[offsets[i]..offsets[i + 1]). Several are on
    // their way at once, so that the processor waits for the memory of one while it ranks another.
    template <class Token>
    void count_batch(std::span<const Token> flat, std::span<const std::int64_t> offsets,
                     std::span<std::int64_t> counts) const {
        for (std::size_t i = 0; i + 1 < offsets.size(); i += lanes)
            count_lanes(flat, offsets.subspan(i, std::min(lanes + 1, offsets.size() - i)),
                        counts.subspan(i));
    }

    // One of many n-grams that stand behind each other. Throws InvalidParameter.
    template <class Token>
    [[nodiscard]] static std::span<const Token> between(std::span<const Token> flat,
                                                        std::int64_t begin, std::int64_t end) {
        if (begin < 0 || end < begin || static_cast<std::size_t>(end) > flat.size())
            throw InvalidParameter("offsets must rise and stay within the tokens given; found " +
                                   std::to_string(begin) + " before " + std::to_string(end) +
                                   " among " + std::to_string(flat.size()) + " tokens");
        return flat.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    }

    // The rows of each shard whose context ends in the n-gram.
    template <class Token>
    [[nodiscard]] std::vector<Range> find(std::span<const Token> ngram) const {
        const Codes codes(*this, ngram);
        std::vector<Range> ranges(shards_.size());
        if (codes.known().size() == ngram.size())
            side_by_side(shards_.size(),
                         [&](std::size_t s) { ranges[s] = shards_[s].find(codes.known()); });
        return ranges;
    }

    // The chains of a context, one a shard. Tokens up to the last one that occurs nowhere are lost.
    template <class Token>
    [[nodiscard]] std::vector<Chain> chains(std::span<const Token> context) const {
        const Codes codes(*this, context);
        std::vector<Chain> chains(shards_.size());
        side_by_side(shards_.size(), [&](std::size_t s) {
            if (!shards_[s].is_compact())
                shards_[s].descend(codes.known(), chains[s]);
            else
                for (const std::uint32_t code : codes.known()) advance(shards_[s], chains[s], code);
        });
        return chains;
    }

    // The chains at the start of a document, where only the boundary has been read.
    [[nodiscard]] std::vector<Chain> start_of_document() const {
        std::vector<Chain> chains(shards_.size());
        for (std::size_t s = 0; s < shards_.size(); ++s) advance(shards_[s], chains[s], boundary);
        return chains;
    }

    // O(levels) ranks a shard. A token that occurs nowhere empties the chains.
    void advance_chains(std::vector<Chain>& chains, std::uint32_t token_id,
                        std::uint32_t window) const {
        advance_all(parts(), std::span<Chain>(chains), alphabet_.code(token_id), window);
    }

    [[nodiscard]] std::vector<IndexLevel> levels(std::span<const Chain> chains) const {
        std::vector<IndexLevel> levels;
        std::vector<Range> ranges;
        for_each_level(parts(), chains, -1, ranges,
                       [&](std::uint32_t n, std::uint64_t m, std::span<const Range>) {
                           levels.push_back({n, m});
                       });
        return levels;
    }

    // Next-token counts after the rows of `ranges`, one a shard.
    [[nodiscard]] Histogram next_tokens(std::span<const Range> ranges) const {
        Histogram histogram(alphabet_.n_codes());
        histogram.add(parts(), ranges);
        return histogram;
    }

    // The same after a context. Where one row is left, the text tells the rest of it, and what
    // comes: of a long context that is most of the time.
    template <class Token>
    [[nodiscard]] Histogram next_tokens_after(std::span<const Token> context) const {
        const Shard<Code>& shard = shards_.front();
        if (shards_.size() != 1 || shard.has_grown() || shard.is_compact() || context.empty())
            return next_tokens(find(context));
        Histogram histogram(alphabet_.n_codes());
        const Codes codes(*this, context);
        if (codes.known().size() != context.size()) return histogram;
        auto search = shard.begin_count(codes.known());
        while (shard.step(search)) {
        }
        if (search.range.empty()) return histogram;
        if (search.rest.empty()) {
            histogram.add(shard, search.range);
            return histogram;
        }
        const Position end =
            shard.position(search.range.begin) + static_cast<Position>(search.rest.size());
        if (end < shard.n_rows()) histogram.add(shard.code_at(end), 1);
        return histogram;
    }

    // How many rows of `ranges`, one a shard, have a next token, and how many have this one.
    [[nodiscard]] std::pair<std::int64_t, std::int64_t> continuations(
        std::span<const Range> ranges, std::uint32_t token_id) const {
        const std::uint32_t code = alphabet_.code(token_id);
        std::int64_t all = 0;
        std::int64_t own = 0;
        for (std::size_t s = 0; s < shards_.size(); ++s) {
            if (ranges[s].empty()) continue;
            const std::int64_t sign = shards_[s].sign();
            all += sign * shards_[s].m(ranges[s]);
            if (code != Alphabet::unknown) own += sign * shards_[s].extend(ranges[s], code).size();
        }
        // the boundary has no image
        if (token_id == alphabet_.token_id(boundary))
            own = static_cast<std::int64_t>(next_tokens(ranges)[boundary]);
        return {all, own};
    }

    // For every place of the tokens, how many tokens up to and including it occur in the corpus as
    // one run, at most `window`. O(levels) ranks a token.
    template <class Token>
    [[nodiscard]] std::vector<std::uint32_t> match_lengths(std::span<const Token> tokens,
                                                           std::uint32_t window) const {
        std::vector<Chain> chains(shards_.size());
        std::vector<std::uint32_t> lengths;
        lengths.reserve(tokens.size());
        for (const Token token : tokens) {
            advance_chains(chains, token, window);
            lengths.push_back(longest_match(parts(), std::span<const Chain>(chains)));
        }
        return lengths;
    }

private:
    // Tokens as codes, on the stack while they are few. Keeps those after the last unknown token.
    class Codes {
    public:
        template <class Token>
        Codes(const Index& index, std::span<const Token> tokens) {
            if (tokens.size() > few_.size()) many_.resize(tokens.size());
            std::uint32_t* const codes = many_.empty() ? few_.data() : many_.data();
            for (const Token token : tokens) {
                const std::uint32_t code = index.alphabet_.code(token);
                codes[n_] = code;
                n_ = code == Alphabet::unknown ? 0 : n_ + 1;
            }
        }
        [[nodiscard]] std::span<const std::uint32_t> known() const noexcept {
            return {many_.empty() ? few_.data() : many_.data(), n_};
        }

    private:
        std::array<std::uint32_t, 256> few_;
        std::vector<std::uint32_t> many_;
        std::size_t n_ = 0;
    };

    static constexpr std::size_t lanes = 8;

    [[nodiscard]] std::uint64_t n_tokens() const noexcept {
        std::int64_t total = 0;
        for (const auto& shard : shards_)
            total += shard.sign() * (shard.n_rows() - shard.bucket(boundary).size());
        return static_cast<std::uint64_t>(total);
    }

    // count_batch for at most `lanes` n-grams.
    template <class Token>
    void count_lanes(std::span<const Token> flat, std::span<const std::int64_t> offsets,
                     std::span<std::int64_t> counts) const {
        std::array<std::optional<Codes>, lanes> codes;
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
            const auto ngram = between(flat, offsets[i], offsets[i + 1]);
            codes[i].emplace(*this, ngram);
            counts[i] = ngram.empty() ? static_cast<std::int64_t>(n_tokens()) : 0;
            if (ngram.empty() || codes[i]->known().size() != ngram.size()) codes[i].reset();
        }
        std::vector<std::array<std::int64_t, lanes>> found(shards_.size());
        side_by_side(shards_.size(), [&](std::size_t s) {
            const Shard<Code>& shard = shards_[s];
            std::array<typename Shard<Code>::Search, lanes> searches{};
            for (std::size_t i = 0; i < lanes; ++i)
                if (codes[i]) searches[i] = shard.begin_count(codes[i]->known());
            for (bool any = true; any;) {
                any = false;
                for (auto& search : searches) any |= shard.step(search);
            }
            for (std::size_t i = 0; i < lanes; ++i)
                found[s][i] = shard.sign() * searches[i].range.size();
        });
        for (const auto& sizes : found)
            for (std::size_t i = 0; i < lanes; ++i)
                if (codes[i]) counts[i] += sizes[i];
    }

    Alphabet alphabet_;
    std::vector<Shard<Code>> shards_;
    std::vector<Shard<Code>> apart_;  // as `apart` has them, if that is otherwise
    bool has_grown_ = false;
    bool has_removed_ = false;
};

}  // namespace infgram
