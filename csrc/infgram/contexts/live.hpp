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
#include <utility>
#include <vector>

#include "infgram/contexts/continuation.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

// One back-off level of a context in the live text: ask LiveText for its counts.
struct LiveLevel {
    std::uint32_t n;  // tokens of the context matched
    std::uint32_t node;
    bool is_inside_edge;  // between two nodes: every token of it has followed one context alone
    bool operator==(const LiveLevel&) const = default;
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
    // Levels of what the present context becomes when more is read, which is not counted. With no
    // more it is the readable definition of `levels`.
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
        ContinuationStatistics inside;
        return statistics(level, inside);
    }
    // The same where it stands, until more is read; `inside` is for that of a level inside an edge.
    [[nodiscard]] const ContinuationStatistics& statistics(const LiveLevel& level,
                                                           ContinuationStatistics& inside) const {
        if (!level.is_inside_edge) return nodes_[level.node].statistics;
        inside = {};
        for_each_token(level, [&](const Continuation& token, std::uint32_t) { inside.add(token); });
        inside.m = m(level);
        return inside;
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
            visit(level.is_inside_edge ? Continuation{token.code, 1, token.passed}
                                       : Continuation{token.code, token.contexts, token.count()},
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
        const std::uint32_t at = find_token(node, code);
        if (at == none) return std::nullopt;
        const Token& token = tokens_[at];
        return level.is_inside_edge ? Continuation{code, 1, token.passed}
                                    : Continuation{code, token.contexts, token.count()};
    }

    // Asks memory for where `token` with these arguments looks first.
    void prefetch(const LiveLevel& level, std::uint32_t code) const noexcept {
        if (is_leaf(level.node)) return;
        const Node& node = nodes_[level.node];
        if (node.statistics.n_types() == 1)
            infgram::prefetch(&tokens_[node.first_token]);
        else
            token_of_.prefetch(level.node, code);
    }
    // And what that leads to: called once memory may have brought it.
    void prefetch_token(const LiveLevel& level, std::uint32_t code) const noexcept {
        if (is_leaf(level.node) || nodes_[level.node].statistics.n_types() == 1) return;
        if (const std::uint32_t at = token_of_.find(level.node, code); at != none)
            infgram::prefetch(&tokens_[at]);
    }

    // Counts `code` after the present context and makes it the end of the context.
    void read(std::uint32_t code) {
        if (text_.size() >= max_tokens_) forget_half();
        count(code);
        text_.push_back(code);
        follow();
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
    // what they pass on, or, where it has followed one context alone, that of the longer context;
    // `passed` is the power of it, what a shorter context is given.
    struct Token {
        std::uint32_t code;
        std::uint32_t next;  // of the same node
        std::uint32_t raw;
        std::uint32_t contexts;
        double tree;
        double passed;
        std::uint32_t image = none;  // the node of the context with this token behind it, if any
        [[nodiscard]] double count() const noexcept { return contexts > 1 ? tree : passed; }
    };
    // A level at which the last token was counted.
    struct Counted {
        std::uint32_t n;
        std::uint32_t token;
    };

    // An open-addressing table from (node, code) to a number.
    class Links {
    public:
        void clear() {
            slots_.assign(1u << 12, Slot{});
            n_used_ = 0;
        }
        [[nodiscard]] std::uint32_t find(std::uint32_t node, std::uint32_t code) const noexcept {
            for (std::size_t at = hash(node, code);; ++at) {
                const Slot& slot = slots_[at & (slots_.size() - 1)];
                if (slot.value == none) return none;
                if (slot.node == node && slot.code == code) return slot.value;
            }
        }
        void prefetch(std::uint32_t node, std::uint32_t code) const noexcept {
            infgram::prefetch(&slots_[hash(node, code) & (slots_.size() - 1)]);
        }
        void set(std::uint32_t node, std::uint32_t code, std::uint32_t value) {
            if (2 * n_used_ >= slots_.size()) grow();
            put({node, code, value});
        }

    private:
        struct Slot {
            std::uint32_t node = 0;
            std::uint32_t code = 0;
            std::uint32_t value = none;
        };
        static std::size_t hash(std::uint32_t node, std::uint32_t code) noexcept {
            const std::uint64_t key = (std::uint64_t{node} << 32 | code) * 0x9e3779b97f4a7c15ULL;
            return static_cast<std::size_t>(key ^ key >> 32);
        }
        void put(const Slot& set) {
            for (std::size_t at = hash(set.node, set.code);; ++at) {
                Slot& slot = slots_[at & (slots_.size() - 1)];
                if (slot.value != none && (slot.node != set.node || slot.code != set.code))
                    continue;
                if (slot.value == none) ++n_used_;
                slot = set;
                return;
            }
        }
        void grow() {
            std::vector<Slot> old(2 * slots_.size());
            old.swap(slots_);
            n_used_ = 0;
            for (const Slot& slot : old)
                if (slot.value != none) put(slot);
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
        start();
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
        start();
    }

    // The levels where no context is yet.
    void start() {
        counted_.clear();
        levels_.assign(1, {0, root, false});
    }

    // The levels once a token was counted. A node of the new context is that of an old one with the
    // token behind it, as whatever tells two longer contexts of the new one apart did so before;
    // all but the last, which may lie inside an edge or be cut at the window, are found like this.
    void follow() {
        levels_.assign(1, {0, root, false});
        for (const auto [n, token] : counted_)
            if (const std::uint32_t node = tokens_[token].image; node != none) {
                infgram::prefetch(&nodes_[node]);
                levels_.push_back({n + 1, node, false});
            }
        descend(levels_, [&](std::uint32_t back) { return code_before(text_.size(), back); });
    }

    // Walks down from the root as far as a context goes, which tells the code `back` tokens before
    // its end.
    template <class CodeBefore>
    void find(std::vector<LiveLevel>& levels, CodeBefore&& context) const {
        levels.assign(1, {0, root, false});
        descend(levels, context);
    }

    // From the last level on.
    template <class CodeBefore>
    void descend(std::vector<LiveLevel>& levels, CodeBefore&& context) const {
        std::uint32_t node = levels.back().node;
        std::uint32_t depth = levels.back().n;
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

    // A node's only token needs no table: most nodes have no other.
    [[nodiscard]] std::uint32_t find_token(std::uint32_t node, std::uint32_t code) const noexcept {
        const std::uint32_t first = nodes_[node].first_token;
        if (nodes_[node].statistics.n_types() > 1) return token_of_.find(node, code);
        return first != none && tokens_[first].code == code ? first : none;
    }

    std::uint32_t add_token(std::uint32_t node, const Token& token) {
        const auto at = static_cast<std::uint32_t>(tokens_.size());
        const std::uint32_t first = std::exchange(nodes_[node].first_token, at);
        if (first != none && tokens_[first].next == none)
            token_of_.set(node, tokens_[first].code, first);
        if (first != none) token_of_.set(node, token.code, at);
        tokens_.push_back(token);
        tokens_.back().next = first;
        nodes_[node].statistics.add({token.code, 1, token.passed});
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
        if (is_leaf(last.node)) {
            add_token(node, {text_[position(last.node)], none, 1, 1, 1.0, 1.0});
            nodes_[node].statistics.m = 1;
        } else {
            for (std::uint32_t at = nodes_[last.node].first_token; at != none;
                 at = tokens_[at].next) {
                Token token = tokens_[at];  // a copy: add_token may move the tokens
                token.contexts = 1;
                token.image = none;
                add_token(node, token);
            }
            nodes_[node].statistics.m = nodes_[last.node].statistics.m;
        }
        const auto from = std::ranges::find(counted_, last.n - 1, &Counted::n);
        if (from != counted_.end()) tokens_[from->token].image = node;
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
        counted_.resize(levels_.size());
        // What the longer context passed on of the code, and passes on: 0 where it had none. And
        // its tree.
        double before = 0.0;
        double after = 1.0;
        double tree = 1.0;
        for (std::size_t i = levels_.size(); i-- > 0;) {
            Node& node = nodes_[levels_[i].node];
            ++node.statistics.m;
            std::uint32_t at = find_token(levels_[i].node, code);
            if (at == none) {
                at = add_token(levels_[i].node, {code, none, 1, 1, tree, after});
                counted_[i] = {levels_[i].n, at};
                continue;
            }
            counted_[i] = {levels_[i].n, at};
            Token& token = tokens_[at];
            const double passed = token.passed;
            const double count = token.count();
            const std::uint32_t contexts = token.contexts;
            ++token.raw;
            if (before == 0.0) {
                token.tree = count + after;
                token.passed = power_(token.tree);
                ++token.contexts;
            } else if (contexts == 1) {
                token.tree = tree;
                token.passed = after;
            } else {
                token.tree += after - before;
                token.passed = power_(token.tree);
            }
            auto& statistics = node.statistics;
            statistics.total += token.count() - count;
            --statistics.types[std::min(contexts, 3u) - 1];
            ++statistics.types[std::min(token.contexts, 3u) - 1];
            before = passed;
            after = token.passed;
            tree = token.tree;
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
    std::vector<Counted> counted_;  // where the last token was, shortest first
};

}  // namespace infgram
