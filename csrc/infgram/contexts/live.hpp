// The live text: what was read so far, counted on top of an index that does not change.
//
// A tree of its contexts read backwards, the growing twin of a shard's rows: a node is a context,
// its children are contexts one token and more longer, and leaves are places of the text. Reading a
// token walks the nodes of the present context once to count it there; cost and memory a token do
// not depend on how much was read. When the text reaches its limit the older half is forgotten.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// One back-off level of a context in the live text: ask LiveText for its counts.
struct LiveLevel {
    std::uint32_t n;  // tokens of the context matched
    std::uint32_t node;
    bool is_inside_edge;  // between two nodes: every token of it has followed one context alone
};

class LiveText {
public:
    static constexpr std::uint32_t model_window = 48;  // of language models: more changes little

    // max_tokens: at least 2; about 200 bytes of memory each. window: tokens of context seen, which
    // are told apart.
    LiveText(const FixedPower& power, std::uint32_t max_tokens, std::uint32_t window)
        : power_(power), max_tokens_(std::max(max_tokens, 2u)), max_depth_(window) {
        forget();
    }

    // Levels of the present context, shortest first; the first is the empty context, and the last
    // alone may lie inside an edge.
    [[nodiscard]] std::span<const LiveLevel> levels() const noexcept { return levels_; }
    // Levels of what the present context becomes when more is read, which is not counted.
    void find_levels(std::span<const std::uint32_t> more, std::vector<LiveLevel>& levels) const {
        find(levels, [&](std::uint32_t back) {
            if (back > more.size())
                return code_before(text_.size(), back - static_cast<std::uint32_t>(more.size()));
            const std::uint32_t code = more[more.size() - back];
            return code == boundary || code == Alphabet::unknown ? no_code : code;
        });
    }
    // What was read and not forgotten; where no context reaches behind, Alphabet::unknown.
    [[nodiscard]] std::span<const std::uint32_t> text() const noexcept { return text_; }
    [[nodiscard]] bool empty() const noexcept { return nodes_[root].statistics.m == 0; }

    // What a level passes on. With all contexts told apart.
    [[nodiscard]] ContinuationStatistics statistics(const LiveLevel& level) const {
        if (!level.is_inside_edge) return nodes_[level.node].statistics;
        ContinuationStatistics single;
        for_each_token(level, [&](const Continuation& token, std::uint32_t) { single.add(token); });
        single.m = m(level);
        return single;
    }

    [[nodiscard]] std::uint64_t m(const LiveLevel& level) const noexcept {
        return is_leaf(level.node) ? 1 : nodes_[level.node].statistics.m;
    }

    // Calls visit(Continuation, raw count) for each next token of a level, in no order.
    template <class Visit>
    void for_each_token(const LiveLevel& level, Visit&& visit) const {
        const std::uint32_t node = level.node;
        if (is_leaf(node)) {
            visit(Continuation{text_[position(node)], 1, 1.0}, 1u);
            return;
        }
        for (std::uint32_t at = nodes_[node].first_token; at != none; at = tokens_[at].next) {
            const Token& token = tokens_[at];
            visit(level.is_inside_edge
                      ? Continuation{token.code, 1, power_(token.tree)}
                      : Continuation{token.code, token.contexts, token.value(power_)},
                  token.raw);
        }
    }

    // What a level counted of a code, if anything.
    [[nodiscard]] std::optional<Continuation> token(const LiveLevel& level,
                                                    std::uint32_t code) const {
        const std::uint32_t node = level.node;
        if (is_leaf(node))
            return text_[position(node)] == code ? std::optional(Continuation{code, 1, 1.0})
                                                 : std::nullopt;
        const std::uint32_t at = token_of_.find(node, code);
        if (at == none) return std::nullopt;
        const Token& token = tokens_[at];
        return level.is_inside_edge ? Continuation{code, 1, power_(token.tree)}
                                    : Continuation{code, token.contexts, token.value(power_)};
    }

    // Counts `code` after the present context and makes it the end of the context.
    void read(std::uint32_t code) {
        if (text_.size() >= max_tokens_) forget_half();
        count(code);
        text_.push_back(code);
        find_levels();
    }

    // A token that no distribution knows: it is not counted, and no context reaches behind it.
    void separate() { read_uncounted(Alphabet::unknown); }

private:
    static constexpr std::uint32_t none = ~0u;
    static constexpr std::uint32_t root = 0;
    static constexpr std::uint32_t leaf_bit = 1u << 31;
    static constexpr std::uint32_t no_code = ~0u;

    struct Node {
        std::uint32_t depth;
        std::uint32_t place;  // a position of the text with this context
        std::uint32_t first_token = none;
        ContinuationStatistics statistics;
    };
    // A next token of a node. `tree` is the count at the place where its contexts part: the sum of
    // what they pass on, or, where it has followed one context alone, that of the longer context.
    struct Token {
        std::uint32_t code;
        std::uint32_t next;  // of the same node
        std::uint32_t raw;
        std::uint32_t contexts;
        double tree;
        [[nodiscard]] double value(const FixedPower& power) const noexcept {
            return contexts > 1 ? tree : power(tree);
        }
    };

    // An open-addressing table from (node, code) to a number.
    class Links {
    public:
        void clear() {
            slots_.assign(1u << 12, Slot{});
            n_used_ = 0;
        }
        [[nodiscard]] std::uint32_t find(std::uint32_t node, std::uint32_t code) const noexcept {
            const std::uint64_t key = std::uint64_t{node} << 32 | code;
            for (std::size_t at = hash(key);; ++at) {
                const Slot& slot = slots_[at & (slots_.size() - 1)];
                if (slot.value == none) return none;
                if (slot.key == key) return slot.value;
            }
        }
        void set(std::uint32_t node, std::uint32_t code, std::uint32_t value) {
            if (2 * n_used_ >= slots_.size()) grow();
            put(std::uint64_t{node} << 32 | code, value);
        }

    private:
        struct Slot {
            std::uint64_t key = 0;
            std::uint32_t value = none;
        };
        static std::size_t hash(std::uint64_t key) noexcept {
            key *= 0x9e3779b97f4a7c15ULL;
            return static_cast<std::size_t>(key ^ key >> 32);
        }
        void put(std::uint64_t key, std::uint32_t value) {
            for (std::size_t at = hash(key);; ++at) {
                Slot& slot = slots_[at & (slots_.size() - 1)];
                if (slot.value == none) {
                    slot = {key, value};
                    ++n_used_;
                    return;
                }
                if (slot.key == key) {
                    slot.value = value;
                    return;
                }
            }
        }
        void grow() {
            std::vector<Slot> old(2 * slots_.size());
            old.swap(slots_);
            n_used_ = 0;
            for (const Slot& slot : old)
                if (slot.value != none) put(slot.key, slot.value);
        }
        std::vector<Slot> slots_;
        std::size_t n_used_ = 0;
    };

    static bool is_leaf(std::uint32_t node) noexcept { return (node & leaf_bit) != 0; }
    static std::uint32_t position(std::uint32_t leaf) noexcept { return leaf & ~leaf_bit; }
    // The code `back` tokens before a position (1: the last one), or no_code where no context
    // reaches.
    [[nodiscard]] std::uint32_t code_before(std::size_t position, std::uint32_t back) const {
        if (position < back) return no_code;
        const std::uint32_t code = text_[position - back];
        return code == boundary || code == Alphabet::unknown ? no_code : code;
    }

    void forget() {
        text_.clear();
        nodes_.clear();
        tokens_.clear();
        children_.clear();
        token_of_.clear();
        nodes_.push_back({0, 0, none, {}});
        find_levels();
    }

    void forget_half() {
        const std::vector<std::uint32_t> recent(
            text_.end() - static_cast<std::ptrdiff_t>(max_tokens_ / 2), text_.end());
        forget();
        for (const std::uint32_t code : recent)
            code == Alphabet::unknown ? read_uncounted(code) : read(code);
    }

    void read_uncounted(std::uint32_t code) {
        if (text_.size() >= max_tokens_) forget_half();
        text_.push_back(code);
        find_levels();
    }

    void find_levels() {
        find(levels_, [&](std::uint32_t back) { return code_before(text_.size(), back); });
    }

    // Walks down from the root as far as a context goes, which tells the code `back` tokens before
    // its end.
    template <class CodeBefore>
    void find(std::vector<LiveLevel>& levels, CodeBefore&& context) const {
        levels.assign(1, {0, root, false});
        std::uint32_t node = root;
        std::uint32_t depth = 0;
        while (depth < max_depth_) {
            const std::uint32_t code = context(depth + 1);
            if (code == no_code) return;
            const std::uint32_t child = children_.find(node, code);
            if (child == none) return;
            const std::uint32_t place = is_leaf(child) ? position(child) : nodes_[child].place;
            const std::uint32_t end = is_leaf(child) ? max_depth_ : nodes_[child].depth;
            ++depth;
            while (depth < end) {
                const std::uint32_t next = context(depth + 1);
                if (next == no_code || next != code_before(place, depth + 1)) break;
                ++depth;
            }
            const bool is_inside_edge = is_leaf(child) || depth < end;
            levels.push_back({depth, child, is_inside_edge});
            if (is_inside_edge) return;
            node = child;
        }
    }

    std::uint32_t add_node(std::uint32_t depth, std::uint32_t place) {
        nodes_.push_back({depth, place, none, {}});
        return static_cast<std::uint32_t>(nodes_.size() - 1);
    }

    std::uint32_t add_token(std::uint32_t node, const Token& token) {
        const auto at = static_cast<std::uint32_t>(tokens_.size());
        tokens_.push_back(token);
        tokens_.back().next = nodes_[node].first_token;
        nodes_[node].first_token = at;
        token_of_.set(node, token.code, at);
        return at;
    }

    // The context parts from a known one inside an edge: a node is put there, which so far has what
    // the longer context has.
    void split_last_edge() {
        const LiveLevel last = levels_.back();
        const std::uint32_t parent = levels_[levels_.size() - 2].node;
        const std::uint32_t place =
            is_leaf(last.node) ? position(last.node) : nodes_[last.node].place;
        const std::uint32_t node = add_node(last.n, place);
        children_.set(parent, code_before(place, nodes_[parent].depth + 1), node);
        const std::uint32_t below = code_before(place, last.n + 1);
        if (below != no_code && last.n < max_depth_) children_.set(node, below, last.node);
        auto& statistics = nodes_[node].statistics;
        if (is_leaf(last.node)) {
            add_token(node, {text_[position(last.node)], none, 1, 1, 1.0});
            statistics.add({text_[position(last.node)], 1, 1.0});
            statistics.m = 1;
        } else {
            for (std::uint32_t at = nodes_[last.node].first_token; at != none;
                 at = tokens_[at].next) {
                Token token = tokens_[at];  // a copy: add_token may move the tokens
                token.contexts = 1;
                add_token(node, token);
                nodes_[node].statistics.add({token.code, 1, power_(token.tree)});
            }
            nodes_[node].statistics.m = nodes_[last.node].statistics.m;
        }
        levels_.back() = {last.n, node, false};
    }

    // Adds a leaf for the present context, with `code` next, and counts it in all shorter contexts.
    void count(std::uint32_t code) {
        const auto here = static_cast<std::uint32_t>(text_.size());
        if (levels_.back().is_inside_edge) split_last_edge();
        const std::uint32_t longest = levels_.back().node;
        const std::uint32_t branch =
            levels_.back().n < max_depth_ ? code_before(here, levels_.back().n + 1) : no_code;
        if (branch != no_code) children_.set(longest, branch, here | leaf_bit);
        // What the longer context's count of the code was and is: 0 where it had none.
        double before = 0.0;
        double after = 1.0;
        for (std::size_t i = levels_.size(); i-- > 0;) {
            Node& node = nodes_[levels_[i].node];
            ++node.statistics.m;
            std::uint32_t at = token_of_.find(levels_[i].node, code);
            if (at == none) {
                at = add_token(levels_[i].node, {code, none, 1, 1, after});
                node.statistics.add({code, 1, power_(after)});
                before = 0.0;
                continue;
            }
            Token& token = tokens_[at];
            const double tree = token.tree;
            const double value = token.value(power_);
            const std::uint32_t contexts = token.contexts;
            ++token.raw;
            if (before == 0.0) {
                token.tree = (contexts > 1 ? tree : power_(tree)) + power_(after);
                ++token.contexts;
            } else if (contexts == 1) {
                token.tree = after;
            } else {
                token.tree += power_(after) - power_(before);
            }
            auto& statistics = node.statistics;
            statistics.total += token.value(power_) - value;
            --statistics.types[std::min(contexts, 3u) - 1];
            ++statistics.types[std::min(token.contexts, 3u) - 1];
            before = tree;
            after = token.tree;
        }
    }

    FixedPower power_;
    std::uint32_t max_tokens_;
    std::uint32_t max_depth_;
    std::vector<std::uint32_t> text_;
    std::vector<Node> nodes_;
    std::vector<Token> tokens_;
    Links children_;
    Links token_of_;
    std::vector<LiveLevel> levels_;
};

}  // namespace infgram
