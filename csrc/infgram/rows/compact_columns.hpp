// From the columns of the fast layout to those of the compact one, and back. Linear in the rows.
//
// Threads may call all of it, each on memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/compact.hpp"
#include "infgram/rows/huffman_columns.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// The columns of `next`. For codes of several bytes memory for two copies of it. Throws
// InvalidParameter where buckets do not count its codes.
template <class Code>
HuffmanColumns compact_next(std::span<const Code> next, std::span<const Row> buckets) {
    const CodeBytes bytes(static_cast<std::uint32_t>(buckets.size() - 1));
    const auto n_rows = static_cast<Row>(next.size());
    for (const Code code : next)
        if (code >= buckets.size() - 1) throw InvalidParameter("code outside the buckets");
    HuffmanColumns made;
    std::vector<Code> sorted;
    for (std::uint32_t i = 0; i < bytes.n(); ++i) {
        made.add(n_rows, bytes.width(i), [&](Row row) { return bytes.byte(next[row], i); });
        if (i + 1 == bytes.n()) break;
        // Rows in the order of one byte more; among equals as they are.
        std::vector<Row> to(bytes.prefix(static_cast<std::uint32_t>(buckets.size() - 2), i + 1) +
                            1);
        for (std::uint32_t prefix = 0; prefix < to.size(); ++prefix)
            to[prefix] = buckets[bytes.first(prefix, i + 1)];
        std::vector<Code> order(next.size());
        for (const Code code : next) {
            Row& at = to[bytes.prefix(code, i + 1)];
            if (at >= n_rows) throw InvalidParameter("buckets do not count the codes");
            order[at++] = code;
        }
        sorted.swap(order);
        next = sorted;
    }
    return made;
}

// Samples of positions. starts: CompactText::n_starts, marks and samples: n_samples, text_rows:
// n_text_rows. No extra memory.
inline void fill_samples(std::span<const Position> sa, std::span<std::uint32_t> starts,
                         std::span<std::uint8_t> marks, std::span<std::uint32_t> samples,
                         std::span<std::uint32_t> text_rows) {
    std::uint32_t n = 0;
    const std::size_t n_rows = sa.size();
    std::ranges::fill(text_rows, 0);
    for (std::size_t row = 0; row < n_rows; ++row) {
        if (row % (1u << CompactText::log_marks) == 0) starts[row >> CompactText::log_marks] = n;
        const Position p = sa[row];
        if (p % (1u << CompactText::log_text) == 0)
            text_rows[p >> CompactText::log_text] = static_cast<Row>(row);
        if (p % CompactText::every != 0) continue;
        if (n == samples.size()) throw InvalidParameter("sa holds a position twice");
        marks[n] = static_cast<std::uint8_t>(row);
        samples[n++] = p / CompactText::every;
    }
    for (std::size_t i = ((n_rows - 1) >> CompactText::log_marks) + 1; i < starts.size(); ++i)
        starts[i] = n;
    if (n != samples.size()) throw InvalidParameter("sa holds a position twice");
}

// `next`, from its columns. Memory for a copy of it, if its codes have several bytes. Throws
// CorruptIndex.
template <class Code>
void expand_next(const BlockColumns& columns, std::span<const Row> buckets, std::span<Code> next) {
    const auto n_codes = static_cast<std::uint32_t>(buckets.size() - 1);
    const CodeBytes bytes(n_codes);
    const auto n_rows = static_cast<Row>(next.size());
    BlockColumns rest = columns;
    std::ranges::fill(next, Code{0});
    for (std::uint32_t i = 0; i < bytes.n(); ++i) {
        const HuffmanBlocks level(rest, bytes.width(i), n_rows);
        rest.supers = rest.supers.subspan(HuffmanBlocks::n_supers(n_rows, bytes.width(i)));
        rest.starts = rest.starts.subspan(HuffmanBlocks::n_starts(n_rows));
        std::vector<std::uint8_t> row_bytes(n_rows);
        level.read(row_bytes);
        // The rows of each beginning follow each other.
        std::vector<Row> from((i == 0 ? 0 : bytes.prefix(n_codes - 1, i)) + std::size_t{1}, 0);
        for (std::uint32_t prefix = 0; i != 0 && prefix < from.size(); ++prefix)
            from[prefix] = buckets[bytes.first(prefix, i)];
        for (Code& code : next) {
            Row& at = from[code];
            if (at >= n_rows) throw_corrupt("next_blocks");
            const std::uint32_t longer = std::uint32_t{code} << 8 | row_bytes[at++];
            if (bytes.first(longer, i + 1) >= n_codes) throw_corrupt("next_blocks");
            code = static_cast<Code>(longer);
        }
    }
}

// The suffix array, by following `next` from the beginning of the text to its end: O(n) steps in no
// order. No extra memory. Throws CorruptIndex where that is no way through all rows; that the rows
// are sorted is not proved.
template <class Code>
void expand_sa(std::span<const Code> next, std::span<const Row> buckets, Row end_row,
               std::span<Position> sa) {
    const auto n = static_cast<Row>(next.size());
    std::vector<Row> image(buckets.begin(), buckets.end() - 1);
    image[boundary] += 1;  // row 0 is the first position, which is nobody's image
    for (Row row = 0; row < n; ++row) {
        const Code code = next[row];
        if (code >= image.size()) throw_corrupt("next_blocks");
        if (row != end_row && image[code] >= buckets[std::size_t{code} + 1])
            throw_corrupt("next_blocks");
        sa[row] = row == end_row ? n : image[code]++;
    }
    Row row = 0;
    for (Position p = 1; p < n; ++p) {
        const Row then = sa[row];
        sa[row] = p;
        if (then >= n) throw_corrupt("next_blocks");
        row = then;
    }
    if (row != end_row) throw_corrupt("next_blocks");
    sa[row] = n;
}

}  // namespace infgram
