// A sequence of bytes in little space, with ranks: how many of the rows before a given one hold a
// byte. Rows are in blocks of 2,048, and each block has a Huffman tree of its own, over the few
// bytes that it holds: neighbouring rows are followed by much the same.
//
// A block's bits are those of a wavelet matrix (Claude, Navarro, Ordóñez 2015) of its tree: level d
// has bit d of every row whose byte's path is longer, and the rows of the next level are those with
// a 0 and then those with a 1, each in their order. Of the children of a level the last ones are
// leaves, so leaves drop off at the end of a level and no node must be looked up. docs/format.md
// has the bytes.
//
// Rank: O(length of the byte's path), two or three cache misses. 32 blocks share a row of counts.
//
// Immutable: threads may share it. Values are not trusted: whatever the columns hold, nothing is
// read outside them, and what cannot be true throws CorruptIndex.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <tuple>
#include <utility>

#include "infgram/rows/match64.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// Columns of a sequence, or of several that follow each other in each of them.
struct BlockColumns {
    std::span<const std::uint32_t> supers;  // three numbers for each superblock and byte
    std::span<const std::uint32_t> starts;  // of each block, and the end: bytes / 8
    std::span<const std::uint8_t> entries;  // three bytes for each block and byte that it holds
    std::span<const std::uint8_t> blocks;   // padded
};

class HuffmanBlocks {
public:
    static constexpr std::uint32_t log_rows = 11;
    static constexpr std::uint32_t rows = 1u << log_rows;
    static constexpr std::uint32_t log_super = 5;  // blocks of a superblock
    static constexpr std::uint32_t super_fields = 3;
    static constexpr std::uint32_t entry_bytes = 3;
    static constexpr std::uint32_t most_depth = 15;  // of a Huffman tree over 2,048 rows

    // Sizes of the columns of a sequence whose bytes are below `width`.
    static std::size_t n_supers(Row n_rows, std::uint32_t width) {
        return ((std::size_t{n_rows} >> (log_rows + log_super)) + 2) * width * super_fields;
    }
    static std::size_t n_starts(Row n_rows) { return (std::size_t{n_rows} + rows - 1) / rows + 1; }

    HuffmanBlocks(const BlockColumns& columns, std::uint32_t width, Row n_rows)
        : supers_(columns.supers.data()),
          starts_(columns.starts.data()),
          entries_(columns.entries.data()),
          blocks_(columns.blocks.data()),
          n_entries_(columns.entries.size() / entry_bytes),
          n_bytes_(columns.blocks.size() < padding_bytes ? 0
                                                         : columns.blocks.size() - padding_bytes),
          width_(width),
          n_rows_(n_rows) {
        if (columns.supers.size() < n_supers(n_rows, width)) throw_corrupt("next_supers");
        if (columns.starts.size() < n_starts(n_rows)) throw_corrupt("next_starts");
        if (columns.blocks.size() < padding_bytes) throw_corrupt("next_blocks");
    }

private:
    template <class T>
    [[nodiscard]] static T load(const std::uint8_t* from) noexcept {
        static_assert(std::endian::native == std::endian::little);  // as columns are
        T value;
        std::memcpy(&value, from, sizeof value);
        return value;
    }

    // What a block's header says, all of it within the block.
    struct Block {
        const std::uint8_t* inner;   // of each level, its inner nodes
        const std::uint8_t* levels;  // of each level, where the next one begins, and ones before it
        const std::uint8_t* leaves;  // of each leaf, where its rows begin in its level
        const std::uint8_t* bytes;   // of each leaf
        const std::uint8_t* ones;    // before each 256 bits
        const std::uint8_t* bits;
        std::uint32_t depth;
        std::uint32_t n_leaves;
        std::uint32_t n_bits;

        // Inner nodes of level d, and leaves there.
        [[nodiscard]] std::uint32_t n_inner(std::uint32_t d) const noexcept {
            return d < depth ? inner[d] : 0;
        }
        [[nodiscard]] std::uint32_t n_leaves_at(std::uint32_t d) const noexcept {
            const std::uint32_t nodes = d == 0 ? 1 : 2 * n_inner(d - 1);
            return nodes - std::min(n_inner(d), nodes);
        }
        // The leaf that holds the i-th row of level d, of those from `first` on; it has one.
        [[nodiscard]] std::uint32_t leaf(std::uint32_t d, std::uint32_t first,
                                         std::uint32_t i) const {
            const std::uint32_t end = first + n_leaves_at(d);
            if (end > n_leaves || first == end) throw_corrupt("next_blocks");
            std::uint32_t at = first;
            for (std::uint32_t next = first + 1; next < end; ++next) at += start(next) <= i ? 1 : 0;
            return at;
        }
        // Where a leaf's rows begin in its level.
        [[nodiscard]] std::uint32_t start(std::uint32_t leaf) const noexcept {
            return load<std::uint16_t>(leaves + 2 * leaf);
        }
        // Where level d begins among the bits, and how many ones there are before it.
        [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> level(
            std::uint32_t d) const noexcept {
            if (d == 0) return {0, 0};
            const std::uint32_t both = load<std::uint32_t>(levels + 4 * (d - 1));
            return {both & 0xffff, both >> 16};
        }
        // Ones before a bit. Outside, as if there were no more bits.
        [[nodiscard]] std::uint32_t ones_before(std::uint32_t bit) const noexcept {
            bit = std::min(bit, n_bits);
            const std::uint8_t* words = bits + (bit >> 8) * 32;
            std::uint32_t count = load<std::uint16_t>(ones + 2 * (bit >> 8));
            std::uint32_t rest = bit & 255;
            for (int i = 0; i < 4; ++i) {  // always as many: the end could not be predicted
                const std::uint32_t here = std::min(rest, 64u);
                count += count_bits(load<std::uint64_t>(words + 8 * i) & low_bits(here));
                rest -= here;
            }
            return count;
        }
    };

    // A level on the way down: rows come in by their place in it, and go out by that in the next.
    class Level {
    public:
        // The one below the last has no rows.
        Level(const Block& block, std::uint32_t d) noexcept {
            std::tie(begin_, ones_) = block.level(d);
            const auto [end, ones] = block.level(std::min(d + 1, block.depth));
            n_ = end - begin_;
            zeros_ = n_ - (ones - ones_);
        }
        [[nodiscard]] std::uint32_t size() const noexcept { return n_; }
        // How many of the first i rows have a 1.
        [[nodiscard]] std::uint32_t ones(const Block& block, std::uint32_t i) const noexcept {
            return block.ones_before(begin_ + std::min(i, rows)) - ones_;
        }
        [[nodiscard]] bool bit(const Block& block, std::uint32_t i) const noexcept {
            const std::uint32_t at = std::min(begin_ + i, block.n_bits - 1);
            return (block.bits[at >> 3] >> (at & 7) & 1) != 0;
        }
        [[nodiscard]] std::uint32_t child(bool bit, std::uint32_t i,
                                          std::uint32_t ones) const noexcept {
            return bit ? zeros_ + ones : i - ones;
        }

    private:
        std::uint32_t begin_;
        std::uint32_t ones_;
        std::uint32_t n_;
        std::uint32_t zeros_;
    };

public:
    // Where a byte's rows are in a block: what all ranks there have in common.
    class Place {
    public:
        Place() = default;

        // A row in the block, or behind its last one.
        [[nodiscard]] Row rank(Row row) const noexcept {
            std::uint32_t i = row - first_;
            if (!occurs_) return before_;
            for (std::uint32_t d = 0; d < depth_; ++d) {
                const Level level(block_, d);
                i = level.child((path_ >> d & 1) != 0, i, level.ones(block_, i));
            }
            return before_ + i - start_;
        }
        [[nodiscard]] bool holds(Row row) const noexcept { return row >> log_rows == number_; }

    private:
        friend class HuffmanBlocks;
        Block block_{};
        std::uint32_t number_ = ~0u;  // of the block
        Row first_ = 0;               // of its rows
        Row before_ = 0;              // rows of the byte before the block
        std::uint32_t path_ = 0;      // bit d leads on from level d
        std::uint32_t depth_ = 0;
        std::uint32_t start_ = 0;  // of the byte's rows in the level below
        bool occurs_ = false;
    };

    // Rows before `row` that hold the byte, which is below the width. row <= n_rows.
    [[nodiscard]] Row rank(std::uint32_t byte, Row row) const { return place(byte, row).rank(row); }

    [[nodiscard]] Place place(std::uint32_t byte, Row row) const {
        Place place;
        place.number_ = row >> log_rows;
        place.first_ = place.number_ << log_rows;
        std::uint32_t leaf = 0;
        std::tie(place.before_, leaf) = before(byte, place.number_);
        place.occurs_ = leaf != none;
        if (!place.occurs_ || row == place.first_) {
            place.occurs_ = false;
            if (row == place.first_) place.number_ = ~0u;  // of no use to another row
            return place;
        }
        const Block block = open(place.number_);
        if (leaf >= block.n_leaves) throw_corrupt("next_entries");
        place.start_ = block.start(leaf);
        // Leaves are listed by depth, and are the last children of the level above.
        std::uint32_t depth = 0;
        for (std::uint32_t n; leaf >= (n = block.n_leaves_at(depth)); leaf -= n)
            if (depth++ == block.depth) throw_corrupt("next_blocks");
        place.depth_ = depth;
        std::uint32_t node = block.n_inner(depth) + leaf;
        for (std::uint32_t d = depth; d-- > 0;) {
            const bool bit = node >= block.n_inner(d);
            place.path_ |= (bit ? 1u : 0u) << d;
            node -= bit ? block.n_inner(d) : 0;
        }
        place.block_ = block;
        return place;
    }

    // A row's byte, and how many rows before it hold the same.
    [[nodiscard]] std::pair<std::uint32_t, Row> access(Row row) const {
        const std::uint32_t number = row >> log_rows;
        const auto [byte, in_block] = leaf_of(open(number), row & (rows - 1));
        const auto [before, leaf] = this->before(byte, number);
        if (leaf == none) throw_corrupt("next_supers");
        return {byte, before + in_block};
    }

    // Writes the bytes of all rows.
    void read(std::span<std::uint8_t> to) const {
        for (Row row = 0; row < n_rows_;) {
            const Block block = open(row >> log_rows);
            for (std::uint32_t i = 0; i < rows && row < n_rows_; ++i)
                to[row++] = static_cast<std::uint8_t>(leaf_of(block, i).first);
        }
    }

    // Calls visit(byte, begin, end) for the bytes of the range: its rows that hold the byte are the
    // begin-th to the end-th of the sequence that do. Once or several times a byte, with parts that
    // have no row in common.
    template <class Visit>
    void split(Range range, Visit&& visit) const {
        const auto part = [&](std::uint32_t number, std::uint32_t byte, Row begin, Row end) {
            const auto [before, leaf] = this->before(byte, number);
            if (leaf == none) throw_corrupt("next_blocks");
            visit(byte, before + begin, before + end);
        };
        parts(range, part, visit);
    }

    // Calls found(byte, n) for the bytes of the range, once or several times a byte.
    template <class Found>
    void count(Range range, Found&& found) const {
        const auto part = [&](std::uint32_t, std::uint32_t byte, Row begin, Row end) {
            found(byte, end - begin);
        };
        const auto whole = [&](std::uint32_t byte, Row begin, Row end) {
            found(byte, end - begin);
        };
        parts(range, part, whole);
    }

    // Asks for the memory that a rank will read first.
    void prefetch(std::uint32_t byte, Row row) const noexcept {
        infgram::prefetch(super(byte, row >> (log_rows + log_super)));
        infgram::prefetch(&starts_[row >> log_rows]);
    }

private:
    static constexpr std::uint32_t none = ~0u;

    [[nodiscard]] const std::uint32_t* super(std::uint32_t byte,
                                             std::uint32_t number) const noexcept {
        return supers_ + (std::size_t{number} * width_ + byte) * super_fields;
    }

    // Rows before a block that hold the byte, and the byte's leaf in it, if it occurs there.
    [[nodiscard]] std::pair<Row, std::uint32_t> before(std::uint32_t byte,
                                                       std::uint32_t number) const {
        const std::uint32_t of_super = number & ((1u << log_super) - 1);
        const std::uint32_t* fields = super(byte, number >> log_super);
        const std::uint32_t here = fields[1] >> of_super;  // blocks that hold it, from this one on
        if (here == 0) return {fields[super_fields * width_], none};
        const std::uint32_t earlier =
            count_bits(fields[1] & static_cast<std::uint32_t>(low_bits(of_super)));
        const std::size_t entry = std::size_t{fields[2]} + earlier;
        if (entry >= n_entries_) throw_corrupt("next_supers");
        const std::uint8_t* at = entries_ + entry * entry_bytes;
        return {fields[0] + load<std::uint16_t>(at), (here & 1) != 0 ? at[2] : none};
    }

    // A block, of which everything lies in the column.
    [[nodiscard]] Block open(std::uint32_t number) const {
        if (number >= (std::size_t{n_rows_} + rows - 1) >> log_rows) throw_corrupt("next_blocks");
        const std::size_t begin = std::size_t{starts_[number]} * 8;
        const std::size_t end = std::size_t{starts_[number + 1]} * 8;
        if (begin + 2 > end || end > n_bytes_) throw_corrupt("next_starts");
        const std::uint8_t* at = blocks_ + begin;
        for (std::size_t line = 64; line < std::min<std::size_t>(end - begin, 640); line += 64)
            infgram::prefetch(at + line);
        Block block;
        block.depth = at[0];
        block.n_leaves = at[1] + 1u;
        if (block.depth > most_depth) throw_corrupt("next_blocks");
        std::size_t offset = 2;
        block.inner = at + offset;  // of level 0 it is 1
        offset = (offset + block.depth + 1) & ~std::size_t{1};
        block.levels = at + offset;
        offset += 4 * std::size_t{block.depth};
        block.leaves = at + offset;
        offset += 2 * std::size_t{block.n_leaves};
        block.bytes = at + offset;
        offset = (offset + block.n_leaves + 1) & ~std::size_t{1};
        if (begin + offset > end) throw_corrupt("next_blocks");
        block.n_bits = block.level(block.depth).first;
        block.ones = at + offset;
        offset += 2 * (std::size_t{block.n_bits} / 256 + 1);
        offset = (offset + 7) & ~std::size_t{7};
        block.bits = at + offset;
        offset += 8 * ((std::size_t{block.n_bits} + 63) / 64);
        if (begin + offset > end) throw_corrupt("next_blocks");
        return block;
    }

    // The byte of a block's i-th row, and how many rows of the block before it hold the same.
    [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> leaf_of(const Block& block,
                                                                  std::uint32_t i) const {
        std::uint32_t first_leaf = 0;
        std::uint32_t d = 0;
        for (; d < block.depth; ++d) {
            const Level level(block, d);
            if (i >= level.size()) break;
            first_leaf += block.n_leaves_at(d);
            i = level.child(level.bit(block, i), i, level.ones(block, i));
        }
        const std::uint32_t leaf = block.leaf(d, first_leaf, i);
        const std::uint32_t byte = block.bytes[leaf];
        if (byte >= width_) throw_corrupt("next_blocks");
        return {byte, i - block.start(leaf)};
    }

    // Calls part(block, byte, begin, end) for the bytes of blocks that the range has a part of:
    // among the block's rows with the byte, from and to where; and whole(byte, begin, end) for
    // those of the whole blocks in between, as `split`.
    template <class Part, class Whole>
    void parts(Range range, Part&& part, Whole&& whole) const {
        const std::uint32_t first = range.begin >> log_rows;
        const std::uint32_t last = range.end >> log_rows;
        if (first == last) return parts_of_block(first, range, part);
        parts_of_block(first, {range.begin, (first + 1) << log_rows}, part);
        if (first + 1 < last)
            for (std::uint32_t byte = 0; byte < width_; ++byte) {
                const Row begin = before(byte, first + 1).first;
                const Row end = before(byte, last).first;
                if (begin > end || end > n_rows_) throw_corrupt("next_supers");
                if (begin != end) whole(byte, begin, end);
            }
        parts_of_block(last, {last << log_rows, range.end}, part);
    }

    template <class Part>
    void parts_of_block(std::uint32_t number, Range range, Part& part) const {
        if (range.empty()) return;
        const std::uint32_t first = number << log_rows;
        std::uint32_t rest = range.size();
        const auto found = [&](std::uint32_t byte, std::uint32_t begin, std::uint32_t end) {
            if (end - begin > rest) throw_corrupt("next_blocks");
            rest -= end - begin;
            part(number, byte, begin, end);
        };
        descend(open(number), 0, 0, range.begin - first, range.end - first, found);
        if (rest != 0) throw_corrupt("next_blocks");
    }

    // Calls found(byte, begin, end) for the bytes of a part of a node's rows: of the block's rows
    // with the byte, they are the begin-th to the end-th. first_leaf: of level d.
    template <class Found>
    void descend(const Block& block, std::uint32_t d, std::uint32_t first_leaf, std::uint32_t begin,
                 std::uint32_t end, Found& found) const {
        if (begin >= end) return;
        if (const Level level(block, d); d < block.depth && begin < level.size()) {
            const std::uint32_t ones_begin = level.ones(block, begin);
            const std::uint32_t ones_end = level.ones(block, end);
            first_leaf += block.n_leaves_at(d);
            for (const bool bit : {false, true})
                descend(block, d + 1, first_leaf, level.child(bit, begin, ones_begin),
                        level.child(bit, end, ones_end), found);
            return;
        }
        const std::uint32_t leaf = block.leaf(d, first_leaf, begin);
        const std::uint32_t byte = block.bytes[leaf];
        if (byte >= width_) throw_corrupt("next_blocks");
        found(byte, begin - block.start(leaf), end - block.start(leaf));
    }

    const std::uint32_t* supers_;
    const std::uint32_t* starts_;
    const std::uint8_t* entries_;
    const std::uint8_t* blocks_;
    std::size_t n_entries_;
    std::size_t n_bytes_;
    std::uint32_t width_;
    Row n_rows_;
};

}  // namespace infgram
