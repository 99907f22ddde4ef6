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

struct Drawn {
    std::vector<std::uint32_t> token_ids;
    const char* ended = "";  // or "end_of_text" or "max_copy"
};

class AnySampler {
public:
    virtual ~AnySampler() = default;
    // Draws up to n tokens of each text; fewer only where it ends, whose end is not among them, or
    // where a copy limit leaves no token. A text that has ended is drawn no more.
    virtual std::vector<Drawn> sample(std::size_t n) = 0;
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
    // Draws what comes next, a text for each source of numbers, which must live on; the predictor
    // stays where it is.
    [[nodiscard]] virtual std::unique_ptr<AnySampler> sampler(
        const SamplingParameters& parameters, std::span<const Uniform> uniforms) const = 0;
};

template <class Code, class Estimator>
class SamplerOf final : public AnySampler {
public:
    // A text for each source of numbers. samplers: one of all, or one of each.
    SamplerOf(Owner<Code> owner, std::vector<Sampler<Code, Estimator>> samplers,
              const Context<Code>& context, std::span<const Uniform> uniforms)
        : owner_(std::move(owner)), samplers_(std::move(samplers)) {
        for (std::size_t i = 0; i < uniforms.size(); ++i)
            texts_.push_back(samplers_[samplers_.size() == 1 ? 0 : i].text(context, uniforms[i]));
    }

    std::vector<Drawn> sample(std::size_t n) override {
        const std::scoped_lock lock(mutex_);
        std::vector<Drawn> drawn(texts_.size());
        for (std::size_t i = 0; i < texts_.size(); ++i) {
            if (n == 0 || texts_[i].has_ended) continue;
            if (Context<Code>& context = texts_[i].context; context.keeps_first())
                context.borrow(owner_->neighbours.after(owner_->index.parts(), n));
        }
        if (samplers_.size() == 1)
            samplers_[0].write(texts_, n);
        else
            for (std::size_t i = 0; i < texts_.size(); ++i) samplers_[i].write({&texts_[i], 1}, n);
        const Alphabet& alphabet = owner_->index.alphabet();
        for (std::size_t i = 0; i < texts_.size(); ++i) {
            for (std::uint32_t& token : texts_[i].drawn) token = alphabet.token_id(token);
            drawn[i].token_ids = std::move(texts_[i].drawn);
            if (texts_[i].has_ended)
                drawn[i].ended = texts_[i].code == boundary ? "end_of_text" : "max_copy";
        }
        return drawn;
    }

private:
    Owner<Code> owner_;
    std::vector<Sampler<Code, Estimator>> samplers_;
    std::vector<TextToDraw<Code>> texts_;
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
          context_(shards(), cursor.chains(), cursor.window(),
                   live_text(live_tokens, cursor.window())),
          estimator_(parameters_, shards()),
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

    [[nodiscard]] std::unique_ptr<AnySampler> sampler(
        const SamplingParameters& parameters, std::span<const Uniform> uniforms) const override {
        const std::scoped_lock lock(mutex_);
        std::vector<Sampler<Code, Estimator>> samplers;
        do {
            Estimator estimator(parameters_, shards());
            if constexpr (ReadsText<Estimator>) estimator.resume(estimator_);
            samplers.emplace_back(context_, std::move(estimator), parameters);
        } while (!Sampler<Code, Estimator>::draws_many && samplers.size() < uniforms.size());
        return std::make_unique<SamplerOf<Code, Estimator>>(owner_, std::move(samplers), context_,
                                                            uniforms);
    }

private:
    // Of an index that has grown, what the estimator can make something of.
    [[nodiscard]] std::span<const Shard<Code>> shards() const {
        if constexpr (DrawsRows<Estimator>)
            return owner_->index.parts();
        else if constexpr (CountsApart<Estimator>)
            return owner_->index.apart();
        else
            return owner_->index.shards();
    }

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
            owner_->index.parts(), context_.chains(), 1, ranges_,
            [&](std::uint32_t n, std::uint64_t m, std::span<const Range>) { found = {n, m}; });
        if (found.n == 0) found.m = total_m(owner_->index.parts());
        return found;
    }

    void write_distribution(std::span<double> row) {
        weights_.clear();
        estimator_.look(context_);
        estimator_.weigh(weights_);
        const double unseen = estimator_.unseen();
        std::ranges::copy(weights_.of, row.begin());
        if (unseen != 0.0)  // codes that nothing has any more, and the boundary where none has
            for (std::uint32_t code = 0; code < context_.n_codes(); ++code)
                if (row[code] == 0.0) row[code] = estimator_.prob(code);
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
