// One shard: borrowed columns over the reversed corpus, and the questions about ranges of rows.
//
// Row r stands for a position sa[r]: the context before it and the token at it. Rows are sorted by
// their contexts read backwards, so that the rows which share a context are one range.
//
// The text starts with a boundary and has one between any two documents, those of different shards
// included: where another shard follows, the text ends with a boundary. Every position from 1 to
// the end of the text has a row. The row of the end has no next token.
//
// In an index that has grown, a document of a later segment follows the last one of a text, whose
// end has a boundary next then; the last document of the corpus may be any one, whose own end has
// none; and a shard may hold documents that were removed: what it answers is taken away from the
// answers of the others (sign). Such a shard's codes may be the first ones of the index's alone.
//
// Ownership: none. Spans must outlive the shard. Thread-safety: const methods may run in parallel.
// Columns are trusted to be fast, not to be sane: whatever they hold, no method reads out of
// bounds. What is cheap to know is checked when a shard is made; a value that steers a later read
// is checked where it leaves its column: positions (`position`), codes (`code_at`, and whoever
// walks `next`), images of ranges (`extend`).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/compact.hpp"
#include "infgram/rows/layouts.hpp"
#include "infgram/rows/rank.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

template <class Code>
struct Columns {
    std::span<const Code> codes;         // n_rows: the text, in order
    std::span<const Position> sa;        // n_rows: 1 <= sa[r] <= n_rows
    std::span<const Code> next;          // n_rows, padded: codes[sa[r]]; boundary for end_row
    std::span<const std::uint8_t> same;  // n_rows: see docs/format.md
    std::span<const Row> buckets;        // n_codes + 1: first row whose context ends in code
    std::span<const std::uint16_t> rank_blocks;  // byte-wide codes only
    std::span<const std::uint32_t> rank_supers;  // byte-wide codes only
    std::span<const Row> psi;                    // wider codes only
    std::uint32_t block_rows = 0;                // byte-wide codes only
    std::optional<CompactColumns> compact;       // then of the others there is `buckets` alone
    Row n_rows = 0;
    Row end_row = 0;           // the row whose position is the end of the text
    bool is_followed = false;  // whether a boundary comes behind the end of the text
    std::optional<Row> stop;   // a row whose boundary is none: the corpus ends there
    bool is_removed = false;   // whether its documents are counted as removed
};

template <class Code>
class Shard {
public:
    using FastRank = std::conditional_t<sizeof(Code) == 1, BlockRank, BucketRank>;
    using Rank = RankOfLayout<FastRank>;

    explicit Shard(const Columns<Code>& columns)
        : codes_(columns.codes),
          sa_(columns.sa),
          next_(columns.next),
          same_(columns.same),
          buckets_(check_buckets(columns)),
          rank_(make_rank(columns)),
          n_rows_(columns.n_rows),
          end_row_(columns.end_row),
          silent_end_(columns.is_followed ? none : columns.end_row),
          stop_(columns.stop.value_or(none)),
          is_removed_(columns.is_removed) {
        if (n_rows_ == 0 || end_row_ >= n_rows_) throw_corrupt("sa");
        if (columns.compact)
            compact_text_.emplace(*columns.compact, n_rows_, end_row_);
        else
            check_fast();
        if (bucket(boundary).empty()) throw_corrupt("buckets");
        if (stop_ != none && (stop_ >= n_rows_ || next_code(stop_) != boundary))
            throw_corrupt("next");
    }

    [[nodiscard]] Row n_rows() const noexcept { return n_rows_; }
    [[nodiscard]] std::uint32_t n_codes() const noexcept {
        return static_cast<std::uint32_t>(buckets_.size() - 1);
    }
    [[nodiscard]] Range all() const noexcept { return {0, n_rows_}; }
    [[nodiscard]] Range bucket(std::uint32_t code) const noexcept {
        return code < n_codes() ? Range{buckets_[code], buckets_[code + 1]} : Range{};
    }
    // Whether answers are those of documents that were removed; and 1, or -1 then.
    [[nodiscard]] bool is_removed() const noexcept { return is_removed_; }
    [[nodiscard]] std::int64_t sign() const noexcept { return is_removed_ ? -1 : 1; }
    // Whether the text is one of an index that has grown: what walks it as if it were the end of
    // the corpus, or all of its documents were there, would be wrong.
    [[nodiscard]] bool has_grown() const noexcept {
        return is_removed_ || stop_ != none || silent_end_ == none;
    }
    // The same shard on its own: nothing follows the end of its text, and something all others.
    [[nodiscard]] Shard alone() const {
        Shard shard = *this;
        shard.silent_end_ = end_row_;
        shard.stop_ = none;
        return shard;
    }
    // Whether the columns below are not there, and `shared` is not to be had: whoever can do
    // without asks first. They throw NeedsFastLayout.
    [[nodiscard]] bool is_compact() const noexcept { return compact_text_.has_value(); }
    [[nodiscard]] const Code* next() const {
        if (is_compact()) [[unlikely]]
            throw_needs_fast("next");
        return next_.data();
    }
    [[nodiscard]] const std::uint8_t* same() const {
        if (is_compact()) [[unlikely]]
            throw_needs_fast("same");
        return same_.data();
    }
    // The code that a row has next. O(1), or a rank. Throws CorruptIndex.
    [[nodiscard]] std::uint32_t next_code(Row row) const {
        const std::uint32_t code = is_compact() ? rank_.compact().step(row).first : next_[row];
        if (code >= n_codes()) throw_corrupt("next");
        return code;
    }
    [[nodiscard]] Row end_row() const noexcept { return end_row_; }
    [[nodiscard]] const Rank& rank() const noexcept { return rank_; }
    // The text as it is stored: codes may lie outside the alphabet.
    [[nodiscard]] std::span<const Code> text() const {
        if (is_compact()) [[unlikely]]
            throw_needs_fast("codes");
        return codes_.first(n_rows_);
    }
    // A part of it, begin <= end <= n_rows; `scratch` holds it where it is not stored. O(1), or
    // O(256 + end - begin) ranks.
    [[nodiscard]] std::span<const Code> text(Position begin, Position end,
                                             std::vector<Code>& scratch) const {
        if (!is_compact()) return codes_.subspan(begin, end - begin);
        scratch.resize(end - begin);
        compact_text_->read(rank_.compact(), begin, end, scratch.data());
        return scratch;
    }
    // A code of the text, which is one of the alphabet. Throws CorruptIndex.
    [[nodiscard]] std::uint32_t code_at(Position position) const {
        if (is_compact()) [[unlikely]]
            throw_needs_fast("codes");
        const std::uint32_t code = codes_[position];
        if (code >= n_codes()) throw_corrupt("codes");
        return code;
    }

    // Rows of the range that have a next token.
    [[nodiscard]] std::uint32_t m(Range range) const noexcept {
        return range.size() - n_silent(range);
    }
    // Rows of the range without one: the end of the text, if nothing follows it, and the stop.
    [[nodiscard]] std::uint32_t n_silent(Range range) const noexcept {
        const auto holds = [&](Row row) { return range.begin <= row && row < range.end ? 1u : 0u; };
        return holds(silent_end_) + holds(stop_);
    }
    [[nodiscard]] bool has_end(Range range) const noexcept { return n_silent(range) != 0; }
    [[nodiscard]] bool is_silent(Row row) const noexcept {
        return row == silent_end_ || row == stop_;
    }

    // The row of the end of the document whose tokens stand at [begin, end): what it says of its
    // context, all such rows say. O(end - begin) ranks. Throws CorruptIndex.
    [[nodiscard]] Row end_of_document(Position begin, Position end) const {
        if (begin > end || end > n_rows_) throw InvalidParameter("positions outside the shard");
        if (end == n_rows_) return end_row_;
        std::vector<Code> scratch;
        Range range = bucket(boundary);
        for (const Code code : text(begin, end, scratch)) range = extend(range, code);
        for (Row row = range.begin; row < range.end; ++row)
            if (row != end_row_ && next_code(row) == boundary) return row;
        throw_corrupt("next");
    }

    // The code that every row of a short range has next, or Alphabet::unknown if there are several
    // or it would take long to tell.
    [[nodiscard]] std::uint32_t only_next(Range range) const noexcept {
        if (is_compact()) return Alphabet::unknown;
        const std::uint32_t code = next_[range.begin];
        if (range.size() > 64 || has_end(range) || code >= n_codes()) return Alphabet::unknown;
        if constexpr (sizeof(Code) == 1) {
            const std::uint64_t rows = low_bits(range.size());
            const std::uint64_t found = match64(&next_[range.begin], static_cast<Code>(code));
            return (found & rows) == rows ? code : Alphabet::unknown;
        } else {
            const auto rows = next_.subspan(range.begin, range.size());
            return std::ranges::count(rows, next_[range.begin]) == std::ssize(rows)
                       ? code
                       : Alphabet::unknown;
        }
    }

    // O(1), or 48 ranks at most. Throws CorruptIndex where the column is out of range.
    [[nodiscard]] Position position(Row row) const {
        if (is_compact()) return compact_text_->position(rank_.compact(), row);
        const Position p = sa_[row];
        if (p == 0 || p > n_rows_) throw_corrupt("sa");
        return p;
    }

    // The range of (context + code), given the range of context. The LF mapping; code > 0.
    [[nodiscard]] Range extend(Range range, std::uint32_t code) const {
        if (code >= n_codes()) return {};
        const Range image = rank_(code, range);
        if (image.empty()) return {};
        if (image.begin < buckets_[code] || image.begin > image.end ||
            image.end > buckets_[code + 1] || image.size() > range.size())
            throw_corrupt("rank");
        return image;
    }

    // The same for ranges that hold one another, narrowest first: so do their images. An image
    // without rows stands somewhere in the bucket.
    class Images {
    public:
        // narrowest: the range that is asked for first.
        Images(const Shard& shard, std::uint32_t code, Range narrowest)
            : nested_(shard.rank_, code, narrowest),
              bucket_(shard.bucket(code)),
              last_{bucket_.end, bucket_.begin} {}

        [[nodiscard]] Range operator()(Range range) {
            const Range image = nested_(range);
            // One that ended before it began would have more rows than there are.
            if (image.begin > last_.begin || image.end < last_.end || image.size() > range.size())
                throw_corrupt("rank");
            return last_ = image;
        }
        // Whether the last image lies in the code's bucket; then all do.
        void check() const {
            if (last_.begin < bucket_.begin || last_.end > bucket_.end) throw_corrupt("rank");
        }

    private:
        typename Rank::Nested nested_;
        Range bucket_;
        Range last_;  // at first none, which every range in the bucket holds
    };

    // Tokens that the contexts of two rows share at their ends, at most `most`.
    [[nodiscard]] std::uint32_t shared(Row row, Row other, std::uint32_t most) const {
        if (is_compact()) [[unlikely]]
            throw_needs_fast("codes");
        static_assert(std::endian::native == std::endian::little);  // as columns are
        constexpr std::uint32_t code_bits = 8 * sizeof(Code);
        constexpr std::uint32_t per_word = 64 / code_bits;
        const Code* a = codes_.data() + position(row);
        const Code* b = codes_.data() + position(other);
        const std::uint32_t limit = std::min({most, sa_[row], sa_[other]});
        std::uint32_t n = 0;
        for (; limit - n >= per_word; n += per_word) {
            std::uint64_t x;
            std::uint64_t y;
            std::memcpy(&x, a - n - per_word, sizeof x);
            std::memcpy(&y, b - n - per_word, sizeof y);
            if (x != y) return n + static_cast<std::uint32_t>(std::countl_zero(x ^ y)) / code_bits;
        }
        while (n < limit && *(a - n - 1) == *(b - n - 1)) ++n;
        return n;
    }

    // A count on its way: the rows of what was read, and what is left to read, all codes > 0.
    struct Search {
        Range range;
        std::span<const std::uint32_t> rest;
    };

    [[nodiscard]] Search begin_count(std::span<const std::uint32_t> ngram) const noexcept {
        return {bucket(ngram[0]), ngram.subspan(1)};
    }

    // Reads one more token, or all of them where only one row is left and the text is stored: a
    // comparison with it.
    // Returns whether the count is not known yet; then it is range.size().
    [[nodiscard]] bool step(Search& search) const {
        if (search.range.empty() || search.rest.empty()) return false;
        if (search.range.size() == 1 && !is_compact()) {
            if (!follows(position(search.range.begin), search.rest)) search.range = {};
            return false;
        }
        search.range = extend(search.range, search.rest[0]);
        search.rest = search.rest.subspan(1);
        return true;
    }

    // The rows whose context ends in the n-gram, all codes > 0. O(n) ranks.
    [[nodiscard]] Range find(std::span<const std::uint32_t> ngram) const {
        if (ngram.empty()) return all();
        Range range = bucket(ngram[0]);
        for (std::size_t i = 1; i < ngram.size() && !range.empty(); ++i)
            range = extend(range, ngram[i]);
        return range;
    }

    // Every level of the context, all codes > 0, longest first. One descent from the last token
    // backwards: O(n log n_rows), usually far less because ranges shrink fast. Where the text is
    // not stored, it throws NeedsFastLayout: the context is read instead.
    void descend(std::span<const std::uint32_t> context, std::vector<Level>& levels) const {
        if (is_compact()) throw_needs_fast("sa");
        levels.clear();
        if (context.empty()) return;
        std::uint32_t n = 1;
        Range range = bucket(context.back());
        if (range.empty()) return;
        for (; n < context.size(); ++n) {
            if (range.size() == 1) {  // the text tells the rest
                const Position p = position(range.begin);
                while (n < context.size() && n < p &&
                       codes_[p - n - 1] == context[context.size() - n - 1])
                    ++n;
                break;
            }
            const Range narrower = rows_with(range, n + 1, context[context.size() - n - 1]);
            if (narrower == range) continue;
            levels.push_back({n, range});
            if (narrower.empty()) break;
            range = narrower;
        }
        if (levels.empty() || levels.back().range != range) levels.push_back({n, range});
        std::ranges::reverse(levels);
    }

private:
    static std::span<const Row> check_buckets(const Columns<Code>& columns) {
        const auto buckets = columns.buckets;
        if (buckets.size() < 2 || buckets.front() != 0 || buckets.back() != columns.n_rows ||
            !std::ranges::is_sorted(buckets))
            throw_corrupt("buckets");
        return buckets;
    }

    static Rank make_rank(const Columns<Code>& columns) {
        if (sizeof(Code) == 1 && columns.buckets.size() > 257) throw_corrupt("buckets");
        if (columns.compact)
            return Rank(CompactRank(columns.compact->next, columns.buckets, columns.n_rows,
                                    columns.end_row));
        if constexpr (sizeof(Code) == 1)
            return Rank(BlockRank(columns.next, columns.rank_blocks, columns.rank_supers,
                                  static_cast<std::uint32_t>(columns.buckets.size() - 1),
                                  columns.block_rows, columns.n_rows));
        else
            return Rank(BucketRank(columns.psi, columns.buckets, columns.n_rows));
    }

    void check_fast() const {
        if (codes_.size() < n_rows_) throw_corrupt("codes");
        if (sa_.size() < n_rows_ || sa_[end_row_] != n_rows_) throw_corrupt("sa");
        if (next_.size() < n_rows_) throw_corrupt("next");
        if (same_.size() < n_rows_) throw_corrupt("same");
        if (next_[end_row_] != boundary) throw_corrupt("next");
        if (codes_[0] != boundary) throw_corrupt("codes");
    }

    [[nodiscard]] bool follows(Position p, std::span<const std::uint32_t> ngram) const noexcept {
        return ngram.size() <= n_rows_ - p &&
               std::ranges::equal(ngram, codes_.subspan(p, ngram.size()));
    }

    // The code `back` tokens before the row's position; rows shorter than that have the boundary.
    [[nodiscard]] std::uint32_t code_before(Row row, std::uint32_t back) const {
        const Position p = position(row);
        return p < back ? boundary : codes_[p - back];
    }

    // The rows of the range, which shares back - 1 tokens, that have `code` `back` tokens before.
    [[nodiscard]] Range rows_with(Range range, std::uint32_t back, std::uint32_t code) const {
        const auto partition = [&](Row low, Row high, auto&& is_before) {
            while (low < high) {
                const Row middle = low + (high - low) / 2;
                if (is_before(code_before(middle, back)))
                    low = middle + 1;
                else
                    high = middle;
            }
            return low;
        };
        const Row begin =
            partition(range.begin, range.end, [&](std::uint32_t c) { return c < code; });
        const Row end = partition(begin, range.end, [&](std::uint32_t c) { return c <= code; });
        return {begin, end};
    }

    std::span<const Code> codes_;
    std::span<const Position> sa_;
    std::span<const Code> next_;
    std::span<const std::uint8_t> same_;
    std::span<const Row> buckets_;
    Rank rank_;
    std::optional<CompactText> compact_text_;
    Row n_rows_;
    Row end_row_;
    static constexpr Row none = 0xffffffff;  // there are fewer rows
    Row silent_end_;                         // end_row_, or none
    Row stop_;                               // or none
    bool is_removed_;
};

// Codes of an index: its shards may have fewer.
template <class Code>
[[nodiscard]] std::uint32_t n_codes_of(std::span<const Shard<Code>> shards) noexcept {
    std::uint32_t n = 0;
    for (const auto& shard : shards) n = std::max(n, shard.n_codes());
    return n;
}

// Whether some of them hold documents that were removed.
template <class Code>
[[nodiscard]] bool any_removed(std::span<const Shard<Code>> shards) noexcept {
    return std::ranges::any_of(shards, &Shard<Code>::is_removed);
}

}  // namespace infgram
