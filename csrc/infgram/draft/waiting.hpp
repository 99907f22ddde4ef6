// Nodes that wait to be drafted, each with the probability that its path is accepted: the likeliest
// is taken first, and the least likely is dropped where there are too many. Of equals, the one that
// came first counts as likelier.
//
// Two heaps of the same nodes: O(log n) a node. Not for two threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "infgram/draft/draft.hpp"

namespace infgram::draft {

class Waiting {
public:
    void clear() noexcept {
        nodes_.clear();
        likeliest_.clear();
        unlikeliest_.clear();
        is_waiting_.clear();
        n_ = 0;
    }

    [[nodiscard]] std::size_t size() const noexcept { return n_; }
    [[nodiscard]] bool empty() const noexcept { return n_ == 0; }
    // Of the likeliest, and of the least likely; where there is one.
    [[nodiscard]] double highest() const noexcept { return likeliest_.front().first; }
    [[nodiscard]] double lowest() const noexcept { return unlikeliest_.front().first; }

    void add(const Node& node) {
        const Key key{node.path_prob, ~static_cast<std::uint32_t>(nodes_.size())};
        nodes_.push_back(node);
        is_waiting_.push_back(1);
        likeliest_.push_back(key);
        std::ranges::push_heap(likeliest_);
        unlikeliest_.push_back(key);
        std::ranges::push_heap(unlikeliest_, std::greater{});
        ++n_;
    }

    // The likeliest, which waits no longer; where there is one.
    Node take() {
        const Node node = nodes_[place(likeliest_.front())];
        forget(likeliest_.front());
        return node;
    }
    // Forgets the least likely; where there is one.
    void drop() { forget(unlikeliest_.front()); }

private:
    using Key = std::pair<double, std::uint32_t>;  // path_prob, and ~place in nodes_

    static std::uint32_t place(const Key& key) noexcept { return ~key.second; }

    void forget(const Key& key) {
        is_waiting_[place(key)] = 0;
        --n_;
        tidy(likeliest_, std::less{});
        tidy(unlikeliest_, std::greater{});
    }
    // In front of a heap stands somebody who waits.
    template <class Order>
    void tidy(std::vector<Key>& heap, Order order) {
        while (!heap.empty() && is_waiting_[place(heap.front())] == 0) {
            std::ranges::pop_heap(heap, order);
            heap.pop_back();
        }
    }

    std::vector<Node> nodes_;  // all that were added
    std::vector<std::uint8_t> is_waiting_;
    std::vector<Key> likeliest_;
    std::vector<Key> unlikeliest_;
    std::size_t n_ = 0;
};

}  // namespace infgram::draft
