// A draft: a tree of tokens that the target may accept, and what it was made from.
//
// Const methods may run in parallel in several threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/draft/candidates.hpp"

namespace infgram::draft {

inline constexpr std::int32_t no_parent = -1;  // the end of the context

// Parents come before their children.
struct Node {
    std::uint32_t token;
    std::int32_t parent;
    double prob;         // that it is accepted, its parent being accepted
    double path_prob;    // that it is accepted
    double raw_prob;     // what the sources gave it
    std::uint32_t kind;  // of its evidence
    Support support;
};

// The law that a node's children were drawn from, one after another, without those drawn before.
struct Proposal {
    std::int32_t parent;
    std::vector<std::uint32_t> tokens;
    std::vector<double> probs;  // they sum to one
};

struct Draft {
    std::vector<Node> nodes;
    std::vector<Proposal> proposals;  // where children were drawn; none otherwise
    double expected = 0.0;            // tokens accepted

    void clear() noexcept {
        nodes.clear();
        proposals.clear();
        expected = 0.0;
    }

    // Keeps the first n nodes, the best draft of that size. Of tokens that were drawn none may go:
    // what is kept of them must not depend on what they are.
    void shorten(std::size_t n) {
        if (!proposals.empty()) throw InvalidParameter("tokens that were drawn stay");
        nodes.resize(std::min(n, nodes.size()));
        expected = 0.0;
        for (const Node& node : nodes) expected += node.path_prob;
    }

    // The child of a node that is this token, or no_parent.
    [[nodiscard]] std::int32_t child(std::int32_t parent, std::uint32_t token) const {
        const auto found = std::ranges::find_if(
            nodes, [&](const Node& node) { return node.parent == parent && node.token == token; });
        return found != nodes.end() ? static_cast<std::int32_t>(found - nodes.begin()) : no_parent;
    }
    // The nodes that are the first of these tokens, one below the other, as far as there are any.
    [[nodiscard]] std::vector<std::int32_t> accepted(std::span<const std::uint32_t> tokens) const {
        std::vector<std::int32_t> path;
        std::int32_t at = no_parent;
        for (const std::uint32_t token : tokens) {
            at = child(at, token);
            if (at == no_parent) break;
            path.push_back(at);
        }
        return path;
    }
};

}  // namespace infgram::draft
