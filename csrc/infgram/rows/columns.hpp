// Computes a shard's columns from its text and suffix array. Every function is linear in the rows
// and says what memory it takes beside its arguments.
//
// Threads may call all of it, each on memory of its own.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/rank.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

namespace detail {
inline constexpr std::size_t ahead = 24;  // iterations between a prefetch and its use
}

// Writes the shard's text: a boundary before each document and, where there is room for it, at the
// end; token ids as codes. Token ids of all documents follow one another. No extra memory.
template <class Token, class Code>
void assemble(std::span<const Token> tokens, std::span<const std::uint32_t> document_lengths,
              const Alphabet& alphabet, std::span<Code> codes) {
    std::size_t from = 0;
    std::size_t to = 0;
    for (const std::uint32_t length : document_lengths) {
        if (from + length > tokens.size() || to + length + 1 > codes.size())
            throw InvalidParameter("document lengths add up to more than the tokens given");
        codes[to++] = static_cast<Code>(boundary);
        for (std::uint32_t i = 0; i < length; ++i) {
            const std::uint32_t code = alphabet.code(tokens[from++]);
            if (code == Alphabet::unknown) throw InvalidParameter("token id outside the alphabet");
            codes[to++] = static_cast<Code>(code);
        }
    }
    if (to + 1 == codes.size()) codes[to++] = static_cast<Code>(boundary);
    if (from != tokens.size() || to != codes.size())
        throw InvalidParameter("document lengths add up to less than the tokens given");
}

// buckets[c] = first row whose context ends in c; n_codes + 1 values. O(n_codes) memory.
template <class Code>
std::vector<Row> count_buckets(std::span<const Code> codes, std::uint32_t n_codes) {
    std::vector<Row> buckets(std::size_t{n_codes} + 1, 0);
    for (const Code code : codes) ++buckets[std::size_t{code} + 1];
    for (std::size_t c = 1; c < buckets.size(); ++c) buckets[c] += buckets[c - 1];
    return buckets;
}

// What `link_rows` says of a position: that of the row before, and whether both rows have the same
// next token. Positions have 31 bits, so there is room for it.
inline constexpr std::uint32_t same_next = 1u << 31;

// For rows [begin, end): next[r] = the token at row r, boundary at the end of the text; and
// before[sa[r] - 1] = the position of the row before, 0 for none, with `same_next`. Returns the row
// of the end of the text if it is among them, else n. Parts may be filled by threads of their own.
// No extra memory.
template <class Code>
Row link_rows(std::span<const Code> codes, std::span<const Position> sa, std::span<Code> next,
              std::span<Position> before, std::size_t begin, std::size_t end) {
    const std::size_t n = codes.size();
    const auto token = [&](Position p) { return p == n ? Code{boundary} : codes[p]; };
    Row end_row = static_cast<Row>(n);
    Position last = begin == 0 ? 0 : sa[begin - 1];
    bool last_has_next = begin != 0 && last != n;
    Code last_token = begin == 0 ? Code{boundary} : token(last);
    for (std::size_t r = begin; r < end; ++r) {
        if (r + detail::ahead < end) {
            const Position soon = sa[r + detail::ahead];
            prefetch(&codes[std::min<std::size_t>(soon, n - 1)]);
            prefetch_to_write(&before[soon - 1]);
        }
        const Position p = sa[r];
        const bool has_next = p != n;
        const Code code = token(p);
        if (!has_next) end_row = static_cast<Row>(r);
        next[r] = code;
        before[p - 1] = last | (has_next && last_has_next && code == last_token ? same_next : 0);
        last = p;
        last_has_next = has_next;
        last_token = code;
    }
    return end_row;
}

// For positions p in [begin, end), 0 <= p <= n: shared[p] = tokens that the contexts of p and of
// the row before p's row have in common, saturating at 255. Two rows with one next token share one
// token less than their images, which stand next to each other, too: so only where tokens part is
// there something to compare (the irreducible values of Kärkkäinen, Manzini, Puglisi 2009, run
// backwards over positions). O(n log n) at worst and mostly far less; parts may be filled by
// threads of their own, each of which compares its last position anew. No extra memory.
template <class Code>
void shared_contexts(std::span<const Code> codes, std::span<const Position> before,
                     std::span<std::uint8_t> shared, std::size_t begin, std::size_t end) {
    std::size_t length = 0;
    bool known = false;                         // length is what the position behind shares
    if (begin == 0 && end != 0) shared[0] = 0;  // before the text nothing stands
    for (std::size_t p = end; p-- > std::max<std::size_t>(begin, 1);) {
        if (p > begin + detail::ahead) {
            const Position soon = before[p - 1 - detail::ahead];
            if ((soon & same_next) == 0) prefetch(&codes[soon > length ? soon - 1 - length : 0]);
        }
        if (length > 0) --length;
        if (!known || (before[p - 1] & same_next) == 0) {
            const std::size_t q = before[p - 1] & ~same_next;
            const std::size_t limit = std::min(p, q);
            length = std::min(length, limit);
            while (length < limit && codes[p - 1 - length] == codes[q - 1 - length]) ++length;
            known = true;
        }
        shared[p] = static_cast<std::uint8_t>(std::min<std::size_t>(length, 255));
    }
}

// For rows [begin, end): same[r] = 0 if no earlier row has the same next token, else 1 + the tokens
// of context shared with the nearest such row, at most 255; 0 at the end of the text. No extra
// memory.
//
// Appending the same token to two contexts keeps their order, so rows with one next token that are
// neighbours among themselves become neighbours, and share one token more.
inline void fill_same(std::span<const Position> sa, std::span<const std::uint8_t> shared,
                      std::span<std::uint8_t> same, std::size_t begin, std::size_t end) {
    const std::size_t n = sa.size();
    for (std::size_t r = begin; r < end; ++r) {
        if (r + detail::ahead < end) prefetch(&shared[sa[r + detail::ahead]]);
        same[r] = sa[r] == n ? std::uint8_t{0} : shared[sa[r] + 1];
    }
}

// Does the suffix array sort the text? True if sa is a permutation of 1..n, next holds the tokens
// there, and each row's successor by one token is the next row of that token's bucket (Burkhardt
// and Kärkkäinen 2003). O(n), one bit a row.
template <class Code>
bool is_sorted(std::span<const Code> codes, std::span<const Position> sa,
               std::span<const Code> next, std::span<const Row> buckets) {
    const std::size_t n = codes.size();
    std::vector<Row> successor(buckets.begin(), buckets.end() - 1);
    std::vector<bool> seen(n + 1, false);
    if (n == 0 || sa[0] != 1) return false;
    successor[boundary] = 1;  // position 1 is nobody's successor: position 0 has no row
    for (std::size_t r = 0; r < n; ++r) {
        const Position p = sa[r];
        if (p == 0 || p > n || seen[p]) return false;
        seen[p] = true;
        const Code code = p == n ? Code{boundary} : codes[p];
        if (next[r] != code || code >= successor.size()) return false;
        if (p == n) continue;
        const Row to = successor[code]++;
        if (to >= buckets[std::size_t{code} + 1] || sa[to] != p + 1) return false;
    }
    return true;
}

// Counts for BlockRank. No extra memory but O(n_codes).
inline void fill_block_ranks(std::span<const std::uint8_t> next, std::span<const Row> buckets,
                             std::uint32_t block_rows, std::span<std::uint16_t> blocks,
                             std::span<std::uint32_t> supers) {
    const std::size_t n_codes = buckets.size() - 1;
    std::vector<std::uint32_t> total(buckets.begin(), buckets.end() - 1);
    std::vector<std::uint32_t> super(n_codes);
    for (std::size_t row = 0; row <= next.size(); row += block_rows) {
        if (row % BlockRank::super_rows == 0) {
            super = total;
            std::ranges::copy(super, supers.begin() + static_cast<std::ptrdiff_t>(
                                                          row / BlockRank::super_rows * n_codes));
        }
        std::uint16_t* counts = &blocks[row / block_rows * n_codes];
        for (std::size_t c = 0; c < n_codes; ++c)
            counts[c] = static_cast<std::uint16_t>(total[c] - super[c]);
        for (std::size_t r = row; r < std::min<std::size_t>(row + block_rows, next.size()); ++r)
            ++total[next[r]];
    }
}

// psi for BucketRank. No extra memory but O(n_codes). Throws InvalidParameter where buckets do not
// hold the rows.
template <class Code>
void fill_psi(std::span<const Code> next, std::span<const Row> buckets, std::span<Row> psi) {
    std::vector<Row> to(buckets.begin(), buckets.end() - 1);
    for (std::size_t r = 0; r < next.size(); ++r) {
        const Code code = next[r];
        if (code >= to.size() || to[code] >= buckets[std::size_t{code} + 1])
            throw InvalidParameter("next tokens and buckets contradict each other");
        psi[to[code]++] = static_cast<Row>(r);
    }
}

}  // namespace infgram
