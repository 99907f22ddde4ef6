// A log-linear mixture over binary questions: an estimator. A token is a path of questions, and
// each is answered by a logistic mixture of what the suffixes of the text, further contexts and
// Kneser-Ney say, so the law is a product of answers and sums to one by construction.
//
// The readable definition is src/infgram/models/mix/definition.py. Not for two threads: each has an
// estimator of its own; what was learnt is shared.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/models/mix/counts.hpp"
#include "infgram/models/mix/frontier.hpp"
#include "infgram/models/mix/parameters.hpp"
#include "infgram/models/mix/questions.hpp"
#include "infgram/models/mix/text.hpp"

namespace infgram {

namespace mix {

// How tokens of an index are asked for, and read.
struct Asking {
    template <class Code>
    Asking(const Alphabet& alphabet, std::span<const Shard<Code>> shards)
        : questions(alphabet, follows(shards) ? boundary : boundary + 1) {
        for (std::uint32_t code = 0; code < alphabet.n_codes(); ++code)
            symbols.push_back(code == boundary ? 0 : alphabet.token_id(code));
    }

    Questions questions;
    std::vector<std::uint32_t> symbols;  // by code

private:
    // Whether the boundary ever does: behind each document but the last.
    template <class Code>
    static bool follows(std::span<const Shard<Code>> shards) {
        return shards.size() > 1 || shards.front().bucket(boundary).size() > 1;
    }
};

}  // namespace mix

// What all that estimate by one fit share. Immutable but for Kneser-Ney's cache.
struct MixModel {
    // Throws CorruptIndex where the parameters are no numbers, or of another shape than fits.
    MixModel(std::shared_ptr<const KneserNeyModel> behind, mix::Asking how, mix::WordClasses words,
             mix::NamedCounts contexts, mix::Parameters learnt)
        : kneser_ney(std::move(behind)),
          asking(std::move(how)),
          classes(std::move(words)),
          counts(std::move(contexts)),
          parameters(std::move(learnt)) {
        mix::Parameters expected(asking.questions.size());
        const auto of_expected = expected.arrays();
        const auto of_learnt = parameters.arrays();
        for (std::size_t i = 0; i < of_learnt.size(); ++i)
            if (of_learnt[i]->size() != of_expected[i]->size() ||
                !std::ranges::all_of(*of_learnt[i], [](float f) { return std::isfinite(f); }))
                throw_corrupt("parameters of the mixture");
        for (const std::vector<float>* of_probs :
             {&parameters.maps, &parameters.curves[0], &parameters.curves[1]})
            if (!std::ranges::all_of(*of_probs, [](float p) { return p > 0.0f && p < 1.0f; }))
                throw_corrupt("parameters of the mixture");
        for (const float p : parameters.maps) map_odds.push_back(mix::log_odds(p));
    }

    std::shared_ptr<const KneserNeyModel> kneser_ney;
    mix::Asking asking;
    mix::WordClasses classes;
    mix::NamedCounts counts;
    mix::Parameters parameters;
    std::vector<double> map_odds;
};

namespace mix {

// What Kneser-Ney says of each question: sums over the codes of each side, added up in the tree.
class Masses {
public:
    explicit Masses(const Questions& questions)
        : questions_(&questions), of_question_(questions.size()) {}

    void take(const Weights& weights) noexcept {
        weights_ = &weights;
        for (std::size_t i = of_question_.size(); i-- > 0;) {
            const Question& question = (*questions_)[static_cast<std::int32_t>(i)];
            of_question_[i] = mass(question.no) + mass(question.yes);
        }
    }
    // The probability of yes.
    [[nodiscard]] double yes(std::int32_t question) const noexcept {
        const double all = of_question_[static_cast<std::size_t>(question)];
        return all > 0.0 ? mass((*questions_)[question].yes) / all : 0.5;
    }

private:
    [[nodiscard]] double mass(std::int32_t at) const noexcept {
        return at < 0 ? weights_->of[static_cast<std::size_t>(~at)]
                      : of_question_[static_cast<std::size_t>(at)];
    }

    const Questions* questions_;
    const Weights* weights_ = nullptr;
    std::vector<double> of_question_;
};

}  // namespace mix

template <class Code>
class Mix {
public:
    using Parameters = std::shared_ptr<const MixModel>;

    // Borrows the shards.
    Mix(Parameters model, std::span<const Shard<Code>> shards)
        : model_(std::move(model)),
          kneser_ney_(model_->kneser_ney, shards),
          masses_(questions()),
          answerer_(model_->parameters, model_->map_odds, questions().size()),
          frontier_(questions()) {
        said_.of.assign(model_->asking.symbols.size(), 0.0);
    }

    static const FixedPower& live_power(const Parameters&) {
        throw InvalidParameter("this mixture was fitted without a live text");
    }

    // It looks at all levels.
    [[nodiscard]] static std::optional<std::size_t> n_levels() noexcept { return std::nullopt; }

    // What was read, beside the levels: a code, or Alphabet::unknown.
    void read(std::uint32_t code) {
        if (code == boundary || code == Alphabet::unknown)
            text_ = {};
        else
            text_.read(model_->asking.symbols[code], model_->classes);
    }
    // Goes on where another one is.
    void resume(const Mix& other) { text_ = other.text_; }

    // Finds the levels of a context. The other methods answer for the context seen last.
    void look(const Context<Code>& context) {
        const mix::NamedCounts& counts = model_->counts;
        for (std::size_t i = 0; i < mix::n_named; ++i) {
            keys_[i] = mix::named_contexts[i].key(text_);
            buckets_[i] = counts.bucket(keys_[i]);
            counts.prefetch_offsets(buckets_[i]);
        }
        kneser_ney_.look(context);
        said_.clear();
        kneser_ney_.weigh(said_);
        masses_.take(said_);
        evidence_.take_suffixes(kneser_ney_.steps());
        std::array<std::span<const std::uint8_t>, mix::n_named> opened;
        for (std::size_t i = 0; i < mix::n_named; ++i) opened[i] = counts.open(buckets_[i]);
        for (std::size_t i = 0; i < mix::n_named; ++i)
            evidence_.take_named(
                i, [&](auto&& visit) { counts.for_each(opened[i], keys_[i], visit); });
        known_ = 1.0 - unseen() * static_cast<double>(n_vocabulary() - questions().size() - 1);
    }

    [[nodiscard]] std::uint64_t n_vocabulary() const noexcept { return kneser_ney_.n_vocabulary(); }
    // Of each token that follows nothing: what Kneser-Ney says.
    [[nodiscard]] double unseen() { return kneser_ney_.unseen(); }

    // Of a code, or of any token that the corpus never had. O(questions on its path).
    [[nodiscard]] double prob(std::uint32_t code) {
        double prob = known_;
        const std::int32_t reached = walk([&](std::int32_t question, double yes) {
            const bool is_yes = code >= questions()[question].middle;
            prob *= is_yes ? yes : 1.0 - yes;
            return is_yes;
        });
        return reached == ~static_cast<std::int32_t>(code) ? prob : unseen();
    }

    // Draws a known code with the law's own probabilities. One uniform number, which is where it
    // falls when the codes' probabilities stand in a row. O(questions on its path).
    [[nodiscard]] std::uint32_t draw(double uniform) {
        double before = 0.0;
        double mass = 1.0;
        const std::int32_t reached = walk([&](std::int32_t, double yes) {
            const double no = mass * (1.0 - yes);
            const bool is_yes = uniform >= before + no;
            if (is_yes) before += no;
            mass = is_yes ? mass * yes : no;
            return is_yes;
        });
        return static_cast<std::uint32_t>(~reached);
    }

    // The same of the law to a power other than 1. O(questions of the parts that matter).
    [[nodiscard]] std::uint32_t draw(double uniform, double power) {
        frontier_.begin(evidence_.all());
        return frontier_.draw(power, uniform, asker());
    }

    // Probabilities of the k heaviest codes, and of some others.
    void weigh_heaviest(std::size_t k, Weights& weights) {
        frontier_.begin(evidence_.all());
        frontier_.weigh_heaviest(k, weights, asker());
        std::ranges::sort(weights.codes);
    }

    // Every token known has a weight, so none is left alone and there is nothing to back off to.
    [[nodiscard]] static std::uint32_t only_code() { return Alphabet::unknown; }
    static bool back_off() { return false; }

    // Probabilities of the codes known: with those of all others they sum to one. O(questions).
    void weigh(Weights& weights) {
        weigh_from(questions().root(), evidence_.all(), known_, weights);
    }

private:
    [[nodiscard]] const mix::Questions& questions() const noexcept {
        return model_->asking.questions;
    }

    // The probability of yes.
    double ask(std::int32_t question, const mix::Evidence::Place& place,
               mix::Evidence::Middles& middles) {
        evidence_.split(place, questions()[question].middle, middles);
        answerer_(static_cast<std::uint32_t>(question), text_, evidence_, place, middles,
                  masses_.yes(question), answer_);
        return answer_.prob;
    }

    auto asker() {
        return [this](std::int32_t question, const mix::Evidence::Place& place,
                      mix::Evidence::Middles& middles) { return ask(question, place, middles); };
    }

    // From the first question to the last one, on the sides that `choose(question, yes)` takes.
    // Returns ~code.
    template <class Choose>
    std::int32_t walk(Choose&& choose) {
        mix::Evidence::Place place = evidence_.all();
        mix::Evidence::Middles middles;
        std::int32_t at = questions().root();
        while (at >= 0) {
            const bool yes = choose(at, ask(at, place, middles));
            mix::Evidence::narrow(place, middles, yes);
            at = yes ? questions()[at].yes : questions()[at].no;
        }
        return at;
    }

    void weigh_from(std::int32_t at, const mix::Evidence::Place& place, double mass,
                    Weights& weights) {
        if (at < 0) {
            const auto code = static_cast<std::uint32_t>(~at);
            weights.of[code] = mass;
            weights.codes.push_back(code);
            return;
        }
        mix::Evidence::Middles middles;
        const double yes = ask(at, place, middles);
        for (const bool side : {false, true}) {
            mix::Evidence::Place next = place;
            mix::Evidence::narrow(next, middles, side);
            const mix::Question& question = questions()[at];
            weigh_from(side ? question.yes : question.no, next, mass * (side ? yes : 1.0 - yes),
                       weights);
        }
    }

    Parameters model_;
    KneserNey<Code> kneser_ney_;
    mix::Masses masses_;
    mix::Answerer answerer_;
    mix::Frontier frontier_;
    mix::Text text_;
    mix::Evidence evidence_;
    mix::Answer answer_;
    std::array<std::uint64_t, mix::n_named> keys_{};
    std::array<std::size_t, mix::n_named> buckets_{};
    Weights said_;        // by Kneser-Ney
    double known_ = 1.0;  // the probability of all codes that follow anything
};

}  // namespace infgram
