// Drawing tokens, one after another: an estimator's weights are drawn from, or, where it has a law
// of rows, its rows. Limits on copies stand between.
//
// The readable definition is `DefinedSampler` in src/infgram/models/definition.py; both do the same
// floating-point operations in the same order, so the same uniform numbers give the same tokens.
//
// Not for two threads: each has a sampler of its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/contexts/copying.hpp"
#include "infgram/contexts/index.hpp"
#include "infgram/contexts/neighbours.hpp"
#include "infgram/models/draw.hpp"
#include "infgram/models/rejection.hpp"
#include "infgram/rows/alphabet.hpp"

namespace infgram {

// An estimator that looks at more of a text than levels: it reads each code beside the context, and
// goes on where another one is.
template <class Estimator>
concept ReadsText = requires(Estimator& estimator, const Estimator& other, std::uint32_t code) {
    estimator.read(code);
    estimator.resume(other);
};

// An estimator that learns from each code before it is read.
template <class Estimator>
concept Learns = Estimator::learns;

// An estimator that draws from its own law, and from its powers, faster than all weights are told:
// the code at which a uniform number falls when they stand in a row. And that tells the k heaviest
// weights faster than all.
template <class Estimator>
concept Draws = requires(Estimator& estimator, double number, Weights& weights) {
    { estimator.draw(number) } -> std::same_as<std::uint32_t>;
    { estimator.draw(number, number) } -> std::same_as<std::uint32_t>;
    estimator.weigh_heaviest(std::size_t{1}, weights);
};

// An estimator whose law is that of rows.
template <class Estimator>
concept DrawsRows = requires(const Estimator& estimator) {
    { estimator.parameters() } -> std::same_as<const SbisParameters&>;
};

// An estimator that proposes tokens by its law, and tells whether a power of their probability is
// above a number, faster than all weights are told.
template <class Estimator, class Context>
concept Proposes = requires(Estimator& estimator, const Context& context, double number) {
    estimator.begin(context);
    { estimator.propose(number) } -> std::same_as<std::uint32_t>;
    { estimator.accepts(std::uint32_t{}, number, number) } -> std::same_as<bool>;
};

template <class Code, class Estimator>
class Sampler {
public:
    // Owns the context, of which it keeps what the estimator looks at. Backs off to shorter
    // contexts by `estimator.back_off()` where a copy limit leaves no token.
    Sampler(Context<Code> context, Estimator estimator, const SamplingParameters& parameters)
        : context_(std::move(context)),
          estimator_(std::move(estimator)),
          parameters_(parameters),
          draw_(parameters),
          limit_(parameters.max_copy, context_.n_codes()) {
        weights_.of.assign(context_.n_codes(), 0.0);
        // A copy limit looks at every level, and backs off to any.
        const std::optional<std::size_t> k = estimator_.n_levels();
        if (k && parameters.max_copy == 0) context_.keep_first(*k);
        rejects_ = rejection_fits(parameters) && !context_.has_live();
        if constexpr (DrawsRows<Estimator>)
            if (rejects_ && estimator_.parameters().floor == 0.0)
                rejection_.emplace(estimator_.parameters(), parameters);
    }

    // Whether tables of neighbours would be used, and their use from now on.
    [[nodiscard]] bool keeps_first() const noexcept { return context_.keeps_first(); }
    void borrow(std::span<const Neighbours> neighbours) noexcept { context_.borrow(neighbours); }

    // Draws the next code; Alphabet::unknown if a copy limit leaves none.
    std::uint32_t draw(const Uniform& uniform) {
        if constexpr (DrawsRows<Estimator>) {
            rows_ = nullptr;
            if (rejection_) {
                const std::uint32_t code = (*rejection_)(estimator_, context_, uniform);
                rows_ = rejection_->rows();
                if (code != Alphabet::unknown) return code;
            }
        }
        if constexpr (Proposes<Estimator, Context<Code>>)
            if (rejects_)
                if (const auto code = propose(uniform)) return *code;
        estimator_.look(context_);
        return choose(uniform);
    }
    // Reads the code drawn last.
    void read(std::uint32_t code) {
        if constexpr (Learns<Estimator>) estimator_.learn(context_, code);
        context_.read(code, rows_);
        if constexpr (ReadsText<Estimator>) estimator_.read(code);
        ++n_generated_;
    }

private:
    // A code, or nothing after so many tries that all should be weighed instead.
    std::optional<std::uint32_t> propose(const Uniform& uniform) {
        estimator_.begin(context_);
        for (int i = 0; i < most_tries; ++i) {
            const std::uint32_t code = estimator_.propose(uniform());
            if (code == Alphabet::unknown) continue;
            if (parameters_.temperature == 1.0 ||
                estimator_.accepts(code, uniform(), 1.0 / parameters_.temperature - 1.0))
                return code;
        }
        return std::nullopt;
    }

    // Where not all weights matter.
    std::optional<std::uint32_t> choose_early(const Uniform& uniform) {
        const double temperature = parameters_.temperature;
        const std::size_t k = temperature == 0.0 ? 1 : parameters_.top_k;
        if (k != 0) {
            weights_.clear();
            estimator_.weigh_heaviest(k, weights_);
            return draw_(weights_, uniform);
        }
        if (parameters_.cuts()) return std::nullopt;
        return temperature == 1.0 ? estimator_.draw(uniform())
                                  : estimator_.draw(uniform(), 1.0 / temperature);
    }

    std::uint32_t choose(const Uniform& uniform) {
        if constexpr (Draws<Estimator>)
            if (parameters_.max_copy == 0)
                if (const auto code = choose_early(uniform)) return *code;
        const std::uint32_t only =
            parameters_.max_copy == 0 ? estimator_.only_code() : Alphabet::unknown;
        if (only != Alphabet::unknown) {
            if (parameters_.temperature != 0.0) uniform();
            return only;
        }
        do {
            weights_.clear();
            estimator_.weigh(weights_);
            if (weights_.codes.empty()) throw_corrupt("next");
            limit_.apply(context_, n_generated_, weights_);
        } while (weights_.codes.empty() && estimator_.back_off());
        return weights_.codes.empty() ? Alphabet::unknown : draw_(weights_, uniform);
    }

    Context<Code> context_;
    Estimator estimator_;
    SamplingParameters parameters_;
    Draw draw_;
    CopyLimit<Code> limit_;
    Weights weights_;
    bool rejects_ = false;
    std::optional<Rejection<Code>> rejection_;
    const RowsOfCode* rows_ = nullptr;
    std::uint64_t n_generated_ = 0;
};

// Tokens drawn, and why there are no more.
struct Drawn {
    std::vector<std::uint32_t> token_ids;
    const char* ended = "";  // or "end_of_text" or "max_copy"
};

// Up to n tokens of an index; fewer only where a text ends, whose end is not among them, or where a
// copy limit leaves no token. neighbours: of the index.
template <class Code, class Estimator>
Drawn sample_tokens(Sampler<Code, Estimator>& sampler, const Index<Code>& index,
                    LazyNeighbours& neighbours, const Uniform& uniform, std::size_t n) {
    Drawn drawn;
    drawn.token_ids.reserve(n);
    if (sampler.keeps_first()) sampler.borrow(neighbours.after(index.shards(), n));
    while (drawn.token_ids.size() < n) {
        const std::uint32_t code = sampler.draw(uniform);
        if (code != Alphabet::unknown) sampler.read(code);
        if (code == boundary || code == Alphabet::unknown) {
            drawn.ended = code == boundary ? "end_of_text" : "max_copy";
            break;
        }
        drawn.token_ids.push_back(index.alphabet().token_id(code));
    }
    return drawn;
}

}  // namespace infgram
