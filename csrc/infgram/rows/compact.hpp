// The compact layout: what a shard knows of its rows and its text, in half a byte a byte.
//
// `next` is the Burrows-Wheeler transform of the reversed text (Burrows and Wheeler 1994), so ranks
// over it move a row on to the row one token later. It is kept as HuffmanBlocks, and with it the
// positions of every 48th place of the text and the rows of every 256th: all other positions, and
// the text, are found by walking there (Ferragina and Manzini 2000).
//
// Codes of more than a byte are sequences of their bytes, the high one first, each in the order of
// the bytes before it: the rows of a code are then found byte by byte.
//
// Immutable: threads may share it. Values are not trusted, as in huffman_blocks.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/rows/huffman_blocks.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// What the compact layout has in place of codes, sa, next, same and ranks.
struct CompactColumns {
    BlockColumns next;
    std::span<const std::uint32_t> sa_starts;   // of each 256 rows, and the end: among the marks
    std::span<const std::uint8_t> sa_marks;     // rows whose position is sampled: their low bytes
    std::span<const std::uint32_t> sa_samples;  // of each mark, its position / 48
    std::span<const std::uint32_t> text_rows;   // of each 256th position, its row; first 0
};

// The bytes of codes, the high one first.
class CodeBytes {
public:
    static constexpr std::uint32_t most = 4;

    explicit CodeBytes(std::uint32_t n_codes) : n_codes_(n_codes) {
        while (n_ < most && (n_codes - 1) >> (8 * n_) != 0) ++n_;
    }
    [[nodiscard]] std::uint32_t n() const noexcept { return n_; }
    [[nodiscard]] std::uint32_t byte(std::uint32_t code, std::uint32_t i) const noexcept {
        return code >> (8 * (n_ - 1 - i)) & 255;
    }
    // The bytes before the i-th, as a number.
    [[nodiscard]] std::uint32_t prefix(std::uint32_t code, std::uint32_t i) const noexcept {
        return i == 0 ? 0 : code >> (8 * (n_ - i));
    }
    // The least code whose first i bytes are these; n_codes if there is none.
    [[nodiscard]] std::uint32_t first(std::uint32_t prefix, std::uint32_t i) const noexcept {
        const std::uint64_t code = std::uint64_t{prefix} << (8 * (n_ - i));
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(code, n_codes_));
    }
    // The i-th bytes are below it.
    [[nodiscard]] std::uint32_t width(std::uint32_t i) const noexcept {
        return i == 0 ? byte(n_codes_ - 1, 0) + 1 : 256;
    }

private:
    std::uint32_t n_codes_;
    std::uint32_t n_ = 1;
};

// Ranks as BlockRank and BucketRank have them, and what else is known of next tokens.
class CompactRank {
public:
    CompactRank(const BlockColumns& columns, std::span<const Row> buckets, Row n_rows, Row end_row)
        : bytes_(static_cast<std::uint32_t>(buckets.size() - 1)),
          buckets_(buckets),
          n_rows_(n_rows),
          end_row_(end_row) {
        const std::uint32_t n_codes = static_cast<std::uint32_t>(buckets.size() - 1);
        if (columns.supers.size() < n_supers(n_rows, n_codes)) throw_corrupt("next_supers");
        if (columns.starts.size() < n_starts(n_rows, n_codes)) throw_corrupt("next_starts");
        BlockColumns rest = columns;
        for (std::uint32_t i = 0; i < bytes_.n(); ++i) {
            levels_.emplace_back(rest, bytes_.width(i), n_rows);
            rest.supers = rest.supers.subspan(HuffmanBlocks::n_supers(n_rows, bytes_.width(i)));
            rest.starts = rest.starts.subspan(HuffmanBlocks::n_starts(n_rows));
        }
    }

    // Sizes of columns, all sequences together.
    static std::size_t n_supers(Row n_rows, std::uint32_t n_codes) {
        const CodeBytes bytes(n_codes);
        std::size_t n = 0;
        for (std::uint32_t i = 0; i < bytes.n(); ++i)
            n += HuffmanBlocks::n_supers(n_rows, bytes.width(i));
        return n;
    }
    static std::size_t n_starts(Row n_rows, std::uint32_t n_codes) {
        return CodeBytes(n_codes).n() * HuffmanBlocks::n_starts(n_rows);
    }

    [[nodiscard]] Row operator()(std::uint32_t code, Row row) const {
        for (std::uint32_t i = 0; i < levels_.size(); ++i)
            row = shift(code, i) + levels_[i].rank(bytes_.byte(code, i), inside(row));
        return row;
    }

    // Asks for what ranks of both ends of a range will read first.
    void prefetch(std::uint32_t code, Range range) const noexcept {
        for (const Row row : {range.begin, range.end})
            levels_[0].prefetch(bytes_.byte(code, 0), row);
    }

    // Images of ranges that hold one another, narrowest first: their ends are mostly in blocks that
    // the last one's are in.
    class Nested {
    public:
        Nested(const CompactRank& rank, std::uint32_t code, Range) : rank_(&rank), code_(code) {
            for (std::uint32_t i = 0; i < rank.levels_.size(); ++i)
                shifts_[i] = rank.shift(code, i);
        }

        [[nodiscard]] Range operator()(Range range) {
            for (std::uint32_t i = 0; i < rank_->levels_.size(); ++i)
                range = {shifts_[i] + end_rank(i, 0, range.begin),
                         shifts_[i] + end_rank(i, 1, range.end)};
            return range;
        }

    private:
        using Place = HuffmanBlocks::Place;

        [[nodiscard]] Row end_rank(std::uint32_t i, std::size_t which, Row row) {
            std::array<Place, 2>& places = places_[i];
            if (!places[which].holds(row)) {
                if (places[1 - which].holds(row))
                    places[which] = places[1 - which];
                else
                    places[which] =
                        rank_->levels_[i].place(rank_->bytes_.byte(code_, i), rank_->inside(row));
            }
            return places[which].rank(row);
        }

        const CompactRank* rank_;
        std::uint32_t code_;
        std::array<Row, CodeBytes::most> shifts_{};
        std::array<std::array<Place, 2>, CodeBytes::most> places_;
    };

    // A row's next token, and the row one token later. Of the end of the text the latter means
    // nothing.
    [[nodiscard]] std::pair<std::uint32_t, Row> step(Row row) const {
        std::uint32_t code = 0;
        const bool before_end = row < end_row_;
        for (std::uint32_t i = 0; i < levels_.size(); ++i) {
            const Row first = i == 0 ? 0 : start(code, i);
            const auto [byte, before] = levels_[i].access(row);
            const Row passed = i == 0 ? 0 : levels_[i].rank(byte, first);
            code = code << 8 | byte;
            row = start(code, i + 1) + before - passed;
            if (row >= n_rows_) throw_corrupt("next_supers");
        }
        if (code >= buckets_.size() - 1) throw_corrupt("next_blocks");
        // The first row is nobody's, and the end of the text stands among the boundaries.
        if (code == boundary && before_end && ++row == n_rows_) throw_corrupt("next_supers");
        return {code, row};
    }

    // Calls found(code, n) for what is next in the rows of a range, once or several times a code.
    template <class Found>
    void count(Range range, Found&& found) const {
        if (range.begin > range.end || range.end > n_rows_) throw_corrupt("rank");
        if (levels_.size() == 1)
            levels_[0].count(range, found);
        else
            count_from(0, 0, range, found);
    }

private:
    // A rank is known to be a row once it is one.
    [[nodiscard]] Row inside(Row row) const {
        if (row > n_rows_) throw_corrupt("next_supers");
        return row;
    }
    // Where the rows begin that have these first i bytes, in the sequence of the i-th.
    [[nodiscard]] Row start(std::uint32_t prefix, std::uint32_t i) const noexcept {
        return buckets_[bytes_.first(prefix, i)];
    }
    // What is added to a rank among the i-th bytes, so that it is a row among the next ones.
    [[nodiscard]] Row shift(std::uint32_t code, std::uint32_t i) const {
        const Row to = start(bytes_.prefix(code, i + 1), i + 1);
        if (i == 0) return to;
        return to - levels_[i].rank(bytes_.byte(code, i), start(bytes_.prefix(code, i), i));
    }

    template <class Found>
    void count_from(std::uint32_t i, std::uint32_t prefix, Range range, Found& found) const {
        const Row first = i == 0 ? 0 : start(prefix, i);
        levels_[i].split(range, [&](std::uint32_t byte, Row begin, Row end) {
            const std::uint32_t code = prefix << 8 | byte;
            if (i + 1 == levels_.size()) {
                if (code >= buckets_.size() - 1) throw_corrupt("next_blocks");
                return found(code, end - begin);
            }
            const Row shift = start(code, i + 1) - (i == 0 ? 0 : levels_[i].rank(byte, first));
            const Range below{begin + shift, end + shift};
            if (below.begin > below.end || below.end > n_rows_) throw_corrupt("next_supers");
            count_from(i + 1, code, below, found);
        });
    }

    CodeBytes bytes_;
    std::span<const Row> buckets_;
    Row n_rows_;
    Row end_row_;
    std::vector<HuffmanBlocks> levels_;  // a sequence a byte
};

// Positions of rows and the text, by walking to the next sample.
class CompactText {
public:
    static constexpr std::uint32_t every = 48;     // position is sampled
    static constexpr std::uint32_t log_text = 8;   // the row of every 256th
    static constexpr std::uint32_t log_marks = 8;  // rows of a list of marks

    CompactText(const CompactColumns& columns, Row n_rows, Row end_row)
        : starts_(columns.sa_starts),
          marks_(columns.sa_marks),
          samples_(columns.sa_samples),
          rows_(columns.text_rows),
          n_rows_(n_rows),
          end_row_(end_row) {
        if (starts_.size() < n_starts(n_rows)) throw_corrupt("sa_starts");
        if (marks_.size() < n_samples(n_rows)) throw_corrupt("sa_marks");
        if (samples_.size() < n_samples(n_rows)) throw_corrupt("sa_samples");
        if (rows_.size() < n_text_rows(n_rows)) throw_corrupt("text_rows");
    }

    static std::size_t n_starts(Row n_rows) { return (std::size_t{n_rows} >> log_marks) + 2; }
    static std::size_t n_samples(Row n_rows) { return n_rows / every; }
    static std::size_t n_text_rows(Row n_rows) { return (std::size_t{n_rows} >> log_text) + 1; }

    // At most 48 steps. Throws CorruptIndex.
    [[nodiscard]] Position position(const CompactRank& rank, Row row) const {
        for (Position steps = 0; steps < every; ++steps) {
            const std::optional<Position> sampled = row == end_row_ ? n_rows_ : sample(row);
            if (sampled) {
                if (*sampled <= steps || *sampled > n_rows_) throw_corrupt("sa_samples");
                return *sampled - steps;
            }
            row = rank.step(row).second;
        }
        throw_corrupt("sa_marks");
    }

    // Writes the codes between two positions. O(256 + end - begin) steps. Throws CorruptIndex.
    template <class Code>
    void read(const CompactRank& rank, Position begin, Position end, Code* to) const {
        if (begin == 0 && end != 0) {
            *to++ = static_cast<Code>(boundary);
            ++begin;
        }
        Position p = std::max<Position>(begin >> log_text << log_text, 1);
        Row row = begin < end ? rows_[begin >> log_text] : 0;
        for (; p < end; ++p) {
            if (row >= n_rows_ || row == end_row_) throw_corrupt("text_rows");
            const auto [code, next] = rank.step(row);
            if (p >= begin) *to++ = static_cast<Code>(code);
            row = next;
        }
    }

private:
    [[nodiscard]] std::optional<Position> sample(Row row) const {
        const std::size_t begin = starts_[row >> log_marks];
        const std::size_t end = starts_[(row >> log_marks) + 1];
        if (begin > end || end > n_samples(n_rows_)) throw_corrupt("sa_starts");
        for (std::size_t i = begin; i < end; ++i)
            if (marks_[i] == (row & ((1u << log_marks) - 1))) {
                if (samples_[i] > n_rows_ / every) throw_corrupt("sa_samples");
                return samples_[i] * every;
            }
        return std::nullopt;
    }

    std::span<const std::uint32_t> starts_;
    std::span<const std::uint8_t> marks_;
    std::span<const std::uint32_t> samples_;
    std::span<const std::uint32_t> rows_;
    Row n_rows_;
    Row end_row_;
};

}  // namespace infgram
