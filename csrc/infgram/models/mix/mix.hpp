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
#include "infgram/models/mix/learning.hpp"
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
template <mix::Kind kind>
struct MixModel {
    // Throws CorruptIndex where the parameters are no numbers, or of another shape than fits.
    MixModel(std::shared_ptr<const KneserNeyModel> behind, mix::Asking how, mix::WordClasses words,
             mix::NamedCounts contexts, mix::Parameters<kind> learnt)
        : kneser_ney(std::move(behind)),
          asking(std::move(how)),
          classes(std::move(words)),
          counts(std::move(contexts)),
          parameters(std::move(learnt)) {
        mix::Parameters<kind> expected(asking.questions.size());
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
    mix::Parameters<kind> parameters;
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

// adapts: the text that is read counts too, and its tokens change the parameters.
template <class Code, mix::Kind kind>
class Mix {
public:
    using Parameters = std::shared_ptr<const MixModel<kind>>;
    static constexpr bool learns = kind.adapts;
    static constexpr std::uint32_t most_live_tokens = 1u << 17;

    // Borrows the shards.
    Mix(Parameters model, std::span<const Shard<Code>> shards)
        : model_(std::move(model)),
          kneser_ney_(model_->kneser_ney, shards),
          masses_(questions()),
          learner_(kind.adapts ? std::make_unique<mix::Learner<kind>>(model_->parameters, false)
                               : nullptr),
          answerer_(kind.adapts ? learner_->parameters() : model_->parameters,
                    kind.adapts ? learner_->map_odds() : std::span<const double>(model_->map_odds),
                    questions().size()),
          frontier_(questions()),
          live_(most_live_tokens) {
        said_.of.assign(model_->asking.symbols.size(), 0.0);
    }

    static const FixedPower& live_power(const Parameters& model) {
        return KneserNey<Code>::live_power(model->kneser_ney);
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
    void resume(const Mix& other) {
        text_ = other.text_;
        if constexpr (kind.adapts) {
            *learner_ = *other.learner_;  // of the same size: the answerer looks at it still
            live_ = other.live_;
        }
    }
    // Predicts a code after a context, which is read next, counts it and learns from it.
    void learn(const Context<Code>& context, std::uint32_t code)
        requires(kind.adapts)
    {
        if (code != Alphabet::unknown) {
            if (!is_looked_) look(context);
            if (path_code_ != code) (void)prob(code);
            for (std::size_t i = 0; i < n_path_; ++i)
                learner_->learn(path_[i].answer, path_[i].yes, live_rate);
            // what no question leads to would be taken for an answer
            if (n_path_ != 0) live_.read(keys_, code);
        }
        is_looked_ = false;
    }

    // Finds the levels of a context. The other methods answer for the context seen last.
    void look(const Context<Code>& context) {
        const mix::NamedCounts& counts = model_->counts;
        keys_ = mix::keys_of<kind>(text_);
        if constexpr (kind.adapts) live_.prefetch(keys_);
        for (std::size_t i = 0; i < mix::n_named<kind>; ++i) {
            buckets_[i] = counts.bucket(keys_[mix::n_orders<kind> + i]);
            counts.prefetch_offsets(buckets_[i]);
        }
        kneser_ney_.look(context);
        if constexpr (kind.adapts) live_.look(keys_);
        said_.clear();
        unseen_ = kneser_ney_.weigh(said_);
        masses_.take(said_);
        std::array<std::span<const std::uint8_t>, mix::n_named<kind>> opened;
        for (std::size_t i = 0; i < mix::n_named<kind>; ++i) opened[i] = counts.open(buckets_[i]);
        if constexpr (kind.adapts) {
            recent_ = live_.recent();
            is_looked_ = true;
            path_code_ = Alphabet::unknown;
        }
        mix::gather<kind>(
            kneser_ney_.steps(), &live_,
            [&](std::size_t i, auto&& visit) {
                counts.for_each(opened[i], keys_[mix::n_orders<kind> + i], visit);
            },
            evidence_);
        longest_ = evidence_.longest();
        const std::size_t n_codes = model_->asking.symbols.size();
        const double ends = said_.of[boundary] != 0.0 ? said_.of[boundary] : unseen_;
        ends_ = n_codes == questions().size() + 1 ? 0.0 : ends;
        known_ = 1.0 - ends_ - unseen_ * static_cast<double>(n_vocabulary() - n_codes);
    }

    [[nodiscard]] std::uint64_t n_vocabulary() const noexcept { return kneser_ney_.n_vocabulary(); }
    // Of each token that follows nothing: what Kneser-Ney says.
    [[nodiscard]] double unseen() const noexcept { return unseen_; }

    // Of a code, or of any token that the corpus never had. O(questions on its path).
    [[nodiscard]] double prob(std::uint32_t code) {
        double prob = known_;
        const std::uint32_t reached = walk([&](std::int32_t question, double yes) {
            const bool is_yes = code >= questions()[question].middle;
            prob *= is_yes ? yes : 1.0 - yes;
            return is_yes;
        });
        if (reached == code) return prob;
        path_code_ = code;
        n_path_ = 0;
        return code == boundary ? ends_ : unseen();
    }

    // Draws a known code with the law's own probabilities. One uniform number, which is where it
    // falls when the codes' probabilities stand in a row. O(questions on its path).
    [[nodiscard]] std::uint32_t draw(double uniform) {
        double before = 0.0;
        double mass = 1.0;
        return walk([&](std::int32_t, double yes) {
            const double no = mass * (1.0 - yes);
            const bool is_yes = uniform >= before + no;
            if (is_yes) before += no;
            mass = is_yes ? mass * yes : no;
            return is_yes;
        });
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
    using Evidence = mix::Evidence<kind>;
    using Place = typename Evidence::Place;
    using Middles = typename Evidence::Middles;
    struct Step {
        mix::Answer<kind> answer;
        bool yes;
    };
    static constexpr double live_rate = 0.0005;

    [[nodiscard]] const mix::Questions& questions() const noexcept {
        return model_->asking.questions;
    }

    // The probability of yes. The answer stands behind the path.
    double ask(std::int32_t question, const Place& place, Middles& middles) {
        mix::Answer<kind>& answer = path_[n_path_].answer;
        evidence_.split(place, questions()[question].middle, middles);
        answerer_(static_cast<std::uint32_t>(question), questions()[question], text_, evidence_,
                  longest_, place, middles, recent_, masses_.yes(question), answer);
        return answer.prob;
    }

    auto asker() {
        return [this](std::int32_t question, const Place& place, Middles& middles) {
            return ask(question, place, middles);
        };
    }

    // From the first question to the last one, on the sides that `choose(question, yes)` takes.
    // Returns the code that is reached. Where it adapts, the path is kept.
    template <class Choose>
    std::uint32_t walk(Choose&& choose) {
        n_path_ = 0;
        Place place = evidence_.all();
        Middles middles;
        std::int32_t at = questions().root();
        while (at >= 0) {
            const bool yes = choose(at, ask(at, place, middles));
            if constexpr (kind.adapts) {
                path_[n_path_++].yes = yes;
                if (n_path_ == path_.size()) path_.emplace_back();
            }
            Evidence::narrow(place, middles, yes);
            at = yes ? questions()[at].yes : questions()[at].no;
        }
        return path_code_ = static_cast<std::uint32_t>(~at);
    }

    void weigh_from(std::int32_t at, const Place& place, double mass, Weights& weights) {
        if (at < 0) {
            const auto code = static_cast<std::uint32_t>(~at);
            weights.of[code] = mass;
            weights.codes.push_back(code);
            return;
        }
        Middles middles;
        const double yes = ask(at, place, middles);
        for (const bool side : {false, true}) {
            Place next = place;
            Evidence::narrow(next, middles, side);
            const mix::Question& question = questions()[at];
            weigh_from(side ? question.yes : question.no, next, mass * (side ? yes : 1.0 - yes),
                       weights);
        }
    }

    Parameters model_;
    KneserNey<Code> kneser_ney_;
    mix::Masses masses_;
    std::unique_ptr<mix::Learner<kind>> learner_;  // where it adapts
    mix::Answerer<kind> answerer_;
    mix::Frontier<Evidence> frontier_;
    mix::Text text_;
    mix::LiveCounts<kind> live_;
    mix::Recent<kind> recent_;
    Evidence evidence_;
    std::uint32_t longest_ = 0;
    mix::Keys<kind> keys_{};
    std::array<std::size_t, mix::n_named<kind>> buckets_{};
    bool is_looked_ = false;     // at the present context
    std::vector<Step> path_{1};  // to path_code_, and one step more
    std::size_t n_path_ = 0;
    std::uint32_t path_code_ = Alphabet::unknown;
    Weights said_;         // by Kneser-Ney
    double unseen_ = 0.0;  // and of each token that follows nothing
    double ends_ = 0.0;    // the probability that a document ends, where none in the corpus does
    double known_ = 1.0;   // of all codes that questions lead to
};

}  // namespace infgram
