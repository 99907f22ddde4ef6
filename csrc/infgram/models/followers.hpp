// What follows contexts, with Kneser-Ney's probabilities: what a back-off file lists of them.
//
// Thread-safety: functions of what they are given; the model's cache may be shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/models/kneser_ney.hpp"

namespace infgram {

struct Followers {
    std::vector<std::int64_t> offsets{0};  // context i has tokens [offsets[i], offsets[i + 1])
    std::vector<std::uint32_t> token_ids;  // of each context in the order of codes
    std::vector<double> probs;
    std::vector<double> unseen;   // of any token that the corpus never had, after each context
    std::vector<double> shorter;  // the same after the context without its first token
};

// The tokens that follow each of some contexts; none where the context stands at the corpus's end
// alone, or nowhere. contexts: n tokens each, at most `window`, the end of text for a document's
// start. O(n + followers * levels) a context.
inline Followers list_followers(const AnyIndex& index,
                                const std::shared_ptr<const KneserNeyModel>& model,
                                std::span<const std::uint32_t> contexts, std::uint32_t n,
                                std::uint32_t window) {
    if (n > window || (n != 0 && contexts.size() % n != 0))
        throw InvalidParameter("contexts come as n tokens each, at most as many as are seen");
    return index.visit([&]<class Code>(const Owner<Code>& of) {
        const Alphabet& alphabet = of->index.alphabet();
        const std::uint32_t end_of_text = alphabet.token_id(boundary);
        KneserNey<Code> estimator(model, of->index.shards());
        const auto look = [&](std::span<const std::uint32_t> tokens) {
            Context<Code> context(of->index.shards(), std::vector<Chain>(of->index.shards().size()),
                                  window, std::nullopt);
            for (const std::uint32_t token : tokens)
                context.read(token == end_of_text ? boundary : alphabet.code(token));
            estimator.look(context);
        };
        Followers found;
        const std::size_t n_contexts = n == 0 ? 1 : contexts.size() / n;
        for (std::size_t i = 0; i < n_contexts; ++i) {
            const auto context = contexts.subspan(i * n, n);
            look(context.subspan(n == 0 ? 0 : 1));
            found.shorter.push_back(estimator.unseen());
            look(context);
            found.unseen.push_back(estimator.unseen());
            if (const Step& longest = estimator.steps().front(); longest.n == n)
                for (const Continuation& token : longest.table->tokens) {
                    found.token_ids.push_back(alphabet.token_id(token.code));
                    found.probs.push_back(estimator.prob(token.code));
                }
            found.offsets.push_back(static_cast<std::int64_t>(found.token_ids.size()));
        }
        return found;
    });
}

}  // namespace infgram
