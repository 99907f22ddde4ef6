// A draft: a tree of tokens that the target may accept, and what it was made from.
#pragma once

#include <cstdint>
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
};

}  // namespace infgram::draft
