// Makes the columns of HuffmanBlocks. O(rows * mean path); memory for what it makes alone.
//
// Not for two threads on one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "infgram/rows/huffman_blocks.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

class HuffmanColumns {
public:
    [[nodiscard]] std::span<const std::uint32_t> supers() const noexcept { return supers_; }
    [[nodiscard]] std::span<const std::uint32_t> starts() const noexcept { return starts_; }
    [[nodiscard]] std::span<const std::uint8_t> entries() const noexcept { return entries_; }
    [[nodiscard]] std::span<const std::uint8_t> blocks() const noexcept { return blocks_; }

    // Adds a sequence of n rows, whose bytes are byte(0), byte(1), ..., all below the width.
    template <class Byte>
    void add(Row n_rows, std::uint32_t width, Byte&& byte) {
        std::vector<Row> total(width);     // before the present row
        std::vector<Row> of_super(width);  // before the present superblock
        std::vector<std::uint8_t> block;
        for (std::size_t row = 0; row < n_rows; row += HuffmanBlocks::rows) {
            const auto number = static_cast<std::uint32_t>(row >> HuffmanBlocks::log_rows);
            const std::uint32_t of = number & ((1u << HuffmanBlocks::log_super) - 1);
            if (of == 0) {
                begin_super(total);
                of_super = total;
            }
            block.clear();
            const std::size_t end = std::min<std::size_t>(row + HuffmanBlocks::rows, n_rows);
            for (std::size_t r = row; r < end; ++r)
                block.push_back(static_cast<std::uint8_t>(byte(static_cast<Row>(r))));
            add_block(block, of, total, of_super);
        }
        // Two rows more than there are whole superblocks: rank(n_rows) has one, and one behind it.
        const std::size_t wanted = supers_before_ + HuffmanBlocks::n_supers(n_rows, width);
        while (supers_.size() < wanted) begin_super(total);
        place_entries(width);
        starts_.push_back(static_cast<std::uint32_t>(blocks_.size() / 8));
        supers_before_ = supers_.size();
    }

private:
    using Bytes = std::vector<std::uint8_t>;

    struct Leaf {
        std::uint32_t byte;
        std::uint32_t depth;
        std::uint32_t path = 0;  // bit d leads on from level d
        std::uint32_t start = 0;
    };

    struct Entry {
        std::uint32_t super;
        std::uint32_t byte;
        std::uint32_t block;
        std::uint32_t before;
        std::uint32_t leaf;
    };

    void begin_super(std::span<const Row> total) {
        for (const Row n : total) supers_.insert(supers_.end(), {n, 0, 0});
    }

    void add_block(const Bytes& block, std::uint32_t of, std::vector<Row>& total,
                   std::span<const Row> of_super) {
        std::array<std::uint32_t, 256> counts{};
        for (const std::uint8_t byte : block) ++counts[byte];
        std::vector<Leaf> leaves = leaves_of(counts);
        const std::uint32_t depth = leaves.back().depth;
        const std::vector<std::uint8_t> inner = choose_paths(leaves, depth);
        const std::size_t n_supers = (supers_.size() - supers_before_) / total.size() / 3;
        for (std::uint32_t i = 0; i < leaves.size(); ++i) {
            const std::uint32_t byte = leaves[i].byte;
            supers_[supers_.size() - 3 * total.size() + 3 * byte + 1] |= 1u << of;
            pending_.push_back({static_cast<std::uint32_t>(n_supers - 1), byte, of,
                                total[byte] - of_super[byte], i});
            total[byte] += counts[byte];
        }
        write_block(block, leaves, inner, depth);
    }

    // The bytes that occur, by the depth of their leaves in a Huffman tree and by value.
    static std::vector<Leaf> leaves_of(std::span<const std::uint32_t> counts) {
        using Node = std::pair<std::uint32_t, std::uint32_t>;  // rows, number
        std::priority_queue<Node, std::vector<Node>, std::greater<>> open;
        std::vector<Leaf> leaves;
        std::vector<std::uint32_t> parent;
        for (std::uint32_t byte = 0; byte < counts.size(); ++byte) {
            if (counts[byte] == 0) continue;
            open.emplace(counts[byte], static_cast<std::uint32_t>(leaves.size()));
            leaves.push_back({byte, 0});
        }
        parent.resize(leaves.size());
        while (open.size() > 1) {
            const Node one = open.top();
            open.pop();
            const Node two = open.top();
            open.pop();
            const auto made = static_cast<std::uint32_t>(parent.size());
            parent.push_back(0);
            parent[one.second] = parent[two.second] = made;
            open.emplace(one.first + two.first, made);
        }
        for (std::uint32_t i = 0; i < leaves.size(); ++i)
            for (std::uint32_t node = i; node + 1 != parent.size(); node = parent[node])
                ++leaves[i].depth;
        std::ranges::stable_sort(leaves, {}, &Leaf::depth);
        return leaves;
    }

    // Gives the leaves their paths, and returns how many inner nodes each level has. The children
    // of a level are the 0-children of its inner nodes and then the 1-children, and the last ones
    // are leaves.
    static std::vector<std::uint8_t> choose_paths(std::vector<Leaf>& leaves, std::uint32_t depth) {
        std::vector<std::uint8_t> n_inner;
        std::vector<std::uint32_t> inner{0};  // paths of the level's inner nodes
        auto leaf = leaves.begin();
        for (std::uint32_t d = 0; d < depth; ++d) {
            n_inner.push_back(static_cast<std::uint8_t>(inner.size()));
            std::vector<std::uint32_t> children = inner;
            for (const std::uint32_t path : inner) children.push_back(path | 1u << d);
            const auto end = std::find_if(leaf, leaves.end(),
                                          [&](const Leaf& other) { return other.depth != d + 1; });
            const auto first = children.end() - (end - leaf);
            for (auto child = first; child != children.end(); ++child) (leaf++)->path = *child;
            inner.assign(children.begin(), first);
        }
        return n_inner;
    }

    void write_block(const Bytes& block, std::vector<Leaf>& leaves,
                     std::span<const std::uint8_t> inner, std::uint32_t depth) {
        std::array<std::uint32_t, 256> leaf_of{};
        for (std::uint32_t i = 0; i < leaves.size(); ++i) leaf_of[leaves[i].byte] = i;
        // Level by level: the rows in their order there, and where levels end.
        std::vector<std::uint64_t> words(1);
        std::vector<std::uint16_t> ends;
        std::uint32_t n_bits = 0;
        Bytes rows = block;
        Bytes next;
        for (std::uint32_t d = 0; d < depth; ++d) {
            next.clear();
            for (const bool bit : {false, true})
                for (const std::uint8_t byte : rows)
                    if ((leaves[leaf_of[byte]].path >> d & 1) == (bit ? 1u : 0u))
                        next.push_back(byte);
            for (const std::uint8_t byte : rows) {
                words.back() |= std::uint64_t{leaves[leaf_of[byte]].path >> d & 1} << (n_bits & 63);
                if ((++n_bits & 63) == 0) words.push_back(0);
            }
            ends.push_back(static_cast<std::uint16_t>(n_bits));
            // Rows of leaves stand behind all others.
            auto inner_rows = static_cast<std::uint32_t>(next.size());
            while (inner_rows > 0) {
                Leaf& leaf = leaves[leaf_of[next[inner_rows - 1]]];
                if (leaf.depth != d + 1) break;
                leaf.start = --inner_rows;
            }
            next.resize(inner_rows);
            rows.swap(next);
        }
        if ((n_bits & 63) == 0) words.pop_back();
        std::vector<std::uint16_t> ones(n_bits / 256 + 1);  // before each 256 bits
        std::uint32_t count = 0;
        std::vector<std::uint32_t> ones_at{0};  // before each word
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (i % 4 == 0) ones[i / 4] = static_cast<std::uint16_t>(count);
            count += count_bits(words[i]);
            ones_at.push_back(count);
        }
        if (n_bits % 256 == 0) ones[n_bits / 256] = static_cast<std::uint16_t>(count);

        starts_.push_back(static_cast<std::uint32_t>(blocks_.size() / 8));
        put(depth, 1);
        put(static_cast<std::uint32_t>(leaves.size()) - 1, 1);
        for (const std::uint8_t n : inner) put(n, 1);
        align(2);
        for (const std::uint16_t end : ends) {
            const std::uint64_t part = end % 64 == 0 ? 0 : words[end / 64] & low_bits(end % 64);
            put(end, 2);
            put(ones_at[end / 64] + count_bits(part), 2);
        }
        for (const Leaf& leaf : leaves) put(leaf.start, 2);
        for (const Leaf& leaf : leaves) put(leaf.byte, 1);
        align(2);
        for (const std::uint16_t n : ones) put(n, 2);
        align(8);
        for (const std::uint64_t word : words) {
            put(static_cast<std::uint32_t>(word), 4);
            put(static_cast<std::uint32_t>(word >> 32), 4);
        }
    }

    // Entries go by superblock, byte and block; a superblock's row says where a byte's begin.
    void place_entries(std::uint32_t width) {
        std::ranges::stable_sort(
            pending_, {}, [](const Entry& entry) { return std::pair(entry.super, entry.byte); });
        for (const Entry& entry : pending_) {
            std::uint32_t& first =
                supers_[supers_before_ + (std::size_t{entry.super} * width + entry.byte) * 3 + 2];
            const std::uint32_t mask = *(&first - 1);
            if ((mask & ((1u << entry.block) - 1)) == 0) first = n_entries_;
            ++n_entries_;
            entries_.push_back(static_cast<std::uint8_t>(entry.before));
            entries_.push_back(static_cast<std::uint8_t>(entry.before >> 8));
            entries_.push_back(static_cast<std::uint8_t>(entry.leaf));
        }
        pending_.clear();
    }

    void put(std::uint32_t value, int n_bytes) {
        for (int i = 0; i < n_bytes; ++i, value >>= 8)
            blocks_.push_back(static_cast<std::uint8_t>(value));
    }
    void align(std::size_t to) { blocks_.resize((blocks_.size() + to - 1) / to * to); }

    std::vector<std::uint32_t> supers_;
    std::vector<std::uint32_t> starts_;
    std::vector<std::uint8_t> entries_;
    std::vector<std::uint8_t> blocks_;
    std::vector<Entry> pending_;  // of the present sequence
    std::size_t supers_before_ = 0;
    std::uint32_t n_entries_ = 0;
};

}  // namespace infgram
