// A predictor: an estimator over a context that moves, asked in token ids; and a sampler, which
// draws from one. Whatever the width of codes and whichever the estimator, each is one kind.
//
// Thread-safety: all methods may run in parallel; they take turns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/models/sampler.hpp"

namespace infgram {

class AnySampler {
public:
    virtual ~AnySampler() = default;
    // Draws up to n tokens; fewer only where a text ends, whose end is not among them, or where a
    // copy limit leaves no token.
    virtual Drawn sample(std::size_t n) = 0;
};

// What a model says of each token of a text, and the longest level of the corpus before it.
struct TokenScores {
    std::vector<double> log_prob;
    std::vector<std::uint32_t> n;
    std::vector<std::int64_t> m;
};

class AnyPredictor {
public:
    virtual ~AnyPredictor() = default;
    // Probabilities of a distribution: one a code, and one of all tokens that have none together.
    [[nodiscard]] virtual std::size_t n_columns() const noexcept = 0;
    // The end of text is a token too: a document begins behind it.
    virtual void read(const Tokens& tokens) = 0;
    // Of each token before it is read.
    virtual TokenScores score(const Tokens& tokens) = 0;
    // Before each token is read: rows of n_columns() probabilities.
    virtual void distributions(const Tokens& tokens, std::span<double> rows) = 0;
    // Of the next token: n_columns() probabilities.
    virtual std::vector<double> distribution() = 0;
    // Draws what comes next; the predictor stays where it is. uniform must live on.
    [[nodiscard]] virtual std::unique_ptr<AnySampler> sampler(const SamplingParameters& parameters,
                                                              const Uniform& uniform) const = 0;
};

template <class Code, class Estimator>
class SamplerOf final : public AnySampler {
public:
    SamplerOf(Owner<Code> owner, Sampler<Code, Estimator> sampler, const Uniform& uniform)
        : owner_(std::move(owner)), sampler_(std::move(sampler)), uniform_(uniform) {}

    Drawn sample(std::size_t n) override {
        const std::scoped_lock lock(mutex_);
        return sample_tokens(sampler_, owner_->index, owner_->neighbours, uniform_, n);
    }

private:
    Owner<Code> owner_;
    Sampler<Code, Estimator> sampler_;
    Uniform uniform_;
    std::mutex mutex_;
};

template <class Code, class Estimator>
class PredictorOf final : public AnyPredictor {
public:
    using Parameters = typename Estimator::Parameters;

    // live_tokens: of the text read that are counted too; 0: none.
    PredictorOf(const Cursor<Code>& cursor, Parameters parameters, std::uint32_t live_tokens)
        : owner_(cursor.owner()),
          parameters_(std::move(parameters)),
          context_(owner_->index.shards(), cursor.chains(), cursor.window(),
                   live_text(live_tokens, cursor.window())),
          estimator_(parameters_, owner_->index.shards()),
          end_of_text_(owner_->index.alphabet().token_id(boundary)) {
        weights_.of.assign(context_.n_codes(), 0.0);
    }

    [[nodiscard]] std::size_t n_columns() const noexcept override {
        return std::size_t{context_.n_codes()} + 1;
    }

    void read(const Tokens& tokens) override {
        const std::scoped_lock lock(mutex_);
        std::visit(
            [&](auto given) {
                for (const auto token : given) advance(code(token));
            },
            tokens);
    }

    TokenScores score(const Tokens& tokens) override {
        const std::scoped_lock lock(mutex_);
        TokenScores scores;
        std::visit(
            [&](auto given) {
                scores.log_prob.resize(given.size());
                scores.n.resize(given.size());
                scores.m.resize(given.size());
                for (std::size_t i = 0; i < given.size(); ++i) {
                    const std::uint32_t next = code(given[i]);
                    estimator_.look(context_);
                    scores.log_prob[i] = std::log(estimator_.prob(next));
                    const IndexLevel level = longest();
                    scores.n[i] = level.n;
                    scores.m[i] = static_cast<std::int64_t>(level.m);
                    advance(next);
                }
            },
            tokens);
        return scores;
    }

    void distributions(const Tokens& tokens, std::span<double> rows) override {
        const std::scoped_lock lock(mutex_);
        std::visit(
            [&](auto given) {
                for (std::size_t i = 0; i < given.size(); ++i) {
                    write_distribution(rows.subspan(i * n_columns(), n_columns()));
                    advance(code(given[i]));
                }
            },
            tokens);
    }

    std::vector<double> distribution() override {
        std::vector<double> probs(n_columns());
        const std::scoped_lock lock(mutex_);
        write_distribution(probs);
        return probs;
    }

    [[nodiscard]] std::unique_ptr<AnySampler> sampler(const SamplingParameters& parameters,
                                                      const Uniform& uniform) const override {
        const std::scoped_lock lock(mutex_);
        Estimator estimator(parameters_, owner_->index.shards());
        if constexpr (ReadsText<Estimator>) estimator.resume(estimator_);
        return std::make_unique<SamplerOf<Code, Estimator>>(
            owner_, Sampler<Code, Estimator>(context_, std::move(estimator), parameters), uniform);
    }

private:
    [[nodiscard]] std::optional<LiveText> live_text(std::uint32_t max_tokens,
                                                    std::uint32_t window) const {
        if (max_tokens == 0) return std::nullopt;
        return LiveText(Estimator::live_power(parameters_), max_tokens,
                        std::min(window, LiveText::model_window));
    }

    void advance(std::uint32_t code) {
        if constexpr (Learns<Estimator>) estimator_.learn(context_, code);
        context_.read(code);
        if constexpr (ReadsText<Estimator>) estimator_.read(code);
    }

    [[nodiscard]] std::uint32_t code(std::uint32_t token_id) const {
        return token_id == end_of_text_ ? boundary : owner_->index.alphabet().code(token_id);
    }

    [[nodiscard]] IndexLevel longest() {
        IndexLevel found{0, 0};
        for_each_level(
            context_.shards(), context_.chains(), 1, ranges_,
            [&](std::uint32_t n, std::uint64_t m, std::span<const Range>) { found = {n, m}; });
        if (found.n == 0)
            for (const auto& shard : context_.shards()) found.m += shard.m(shard.all());
        return found;
    }

    void write_distribution(std::span<double> row) {
        weights_.clear();
        estimator_.look(context_);
        estimator_.weigh(weights_);
        const double unseen = estimator_.unseen();
        std::ranges::copy(weights_.of, row.begin());
        if (unseen != 0.0)
            row[boundary] = estimator_.prob(boundary);  // where no document ends, too
        row.back() = unseen * static_cast<double>(estimator_.n_vocabulary() - context_.n_codes());
        const double total = std::accumulate(row.begin(), row.end(), 0.0);
        for (double& prob : row) prob /= total;
    }

    Owner<Code> owner_;
    Parameters parameters_;
    Context<Code> context_;
    Estimator estimator_;
    std::uint32_t end_of_text_;
    Weights weights_;
    std::vector<Range> ranges_;
    mutable std::mutex mutex_;
};

// A predictor that begins where a cursor is.
template <template <class> class Estimator, class Parameters>
std::unique_ptr<AnyPredictor> make_predictor(const AnyCursor& cursor, const Parameters& parameters,
                                             std::uint32_t live_tokens) {
    return cursor.visit([&]<class Code>(const Cursor<Code>& of) -> std::unique_ptr<AnyPredictor> {
        return std::make_unique<PredictorOf<Code, Estimator<Code>>>(of, parameters, live_tokens);
    });
}

}  // namespace infgram
