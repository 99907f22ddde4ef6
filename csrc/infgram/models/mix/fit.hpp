// Learning the parameters of a mixture on the index's own text, in one pass. Each block is
// predicted as if it, and what stands around it, were not in the corpus; each question's answer
// then changes the weights a little, by the gradient of its own logarithmic loss. Blocks are
// visited in a few sweeps over the text, so that early ones are not learnt long before late ones.
//
// Deterministic: one thread, sums in a fixed order.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/models/calibration.hpp"
#include "infgram/models/mix/clustering.hpp"
#include "infgram/models/mix/counting.hpp"
#include "infgram/models/mix/mix.hpp"

namespace infgram {

struct MixFitParameters {
    std::uint32_t block_tokens = 0;  // learnt together
    std::uint32_t guard = 0;         // tokens around a block that are left out with it
    std::uint32_t n_sweeps = 0;      // over the text, each of other blocks
    std::uint32_t most_tokens = 0;   // of the text: named contexts of those behind are not counted
    std::uint32_t most_learnt = 0;   // tokens: of a longer text every so many-th block
};

struct MixFit {
    std::shared_ptr<MixModel> model;
    std::uint64_t n_tokens = 0;  // that were learnt
    double nats = 0.0;           // per token of them, each before it was learnt
};

namespace mix {

// Changes parameters by answers.
class Learner {
public:
    explicit Learner(Parameters& parameters) : parameters_(&parameters) {
        for (const double p : parameters.maps) {
            maps_.push_back({p, first_seen});
            map_odds_.push_back(log_odds(p));
        }
        for (std::size_t c = 0; c < 2; ++c)
            curves_[c].assign(parameters.curves[c].size(), {0.0, first_seen_of_curves});
        for (std::size_t c = 0; c < 2; ++c)
            for (std::size_t i = 0; i < curves_[c].size(); ++i)
                curves_[c][i].prob = parameters.curves[c][i];
    }

    // Log odds of the maps, as they are now.
    [[nodiscard]] std::span<const double> map_odds() const noexcept { return map_odds_; }

    void learn(const Answer& answer, bool yes, double rate) {
        Parameters& with = *parameters_;
        const double truth = yes ? 1.0 : 0.0;
        for (std::size_t c = 0; c < 2; ++c) {
            correct(c, answer.curve[c], truth, 1.0 - answer.fraction);
            correct(c, answer.curve[c] + 1, truth, answer.fraction);
        }
        for (std::size_t f = 0; f < 3; ++f) {
            const double step = final_rate * (truth - probability(answer.final_odds[f]));
            float* weights = &with.finals[f][answer.final_row[f] * n_said];
            for (std::size_t s = 0; s < n_said; ++s)
                weights[s] = static_cast<float>(weights[s] + step * answer.said[s]);
        }
        std::array<float, width> x;
        for (std::size_t i = 0; i < width; ++i) x[i] = static_cast<float>(answer.x[i]);
        for (std::size_t s = 0; s < n_sets; ++s) {
            const auto step = static_cast<float>(rate * (truth - probability(answer.said[s])));
            float* weights = &with.weights[answer.row[s] * width];
            for (std::size_t i = 0; i < width; ++i) weights[i] += step * x[i];
        }
        const double step = rate * (truth - probability(answer.said[n_sets]));
        for (std::size_t i = 0; i < n_inputs; ++i) {
            float& weight = with.own[i * n_trusts + answer.trust[i]];
            weight = static_cast<float>(weight + step * answer.x[i]);
        }
        for (const std::int32_t map : answer.map)
            if (map >= 0) count(static_cast<std::size_t>(map), truth);
    }

    // The mean of the weights at the times this is called becomes what is learnt.
    void note() {
        const auto arrays = parameters_->arrays();
        for (std::size_t i = 1; i < 6; ++i) {  // all but maps and curves, which are means already
            sums_[i].resize(arrays[i]->size(), 0.0);
            for (std::size_t k = 0; k < arrays[i]->size(); ++k) sums_[i][k] += (*arrays[i])[k];
        }
        ++n_noted_;
    }
    void finish() {
        for (std::size_t i = 0; i < maps_.size(); ++i)
            parameters_->maps[i] = static_cast<float>(maps_[i].prob);
        if (n_noted_ == 0) return;
        const auto arrays = parameters_->arrays();
        for (std::size_t i = 1; i < 6; ++i)
            for (std::size_t k = 0; k < arrays[i]->size(); ++k)
                (*arrays[i])[k] = static_cast<float>(sums_[i][k] / n_noted_);
    }

private:
    struct Mean {
        double prob;
        double seen;
    };

    static constexpr double final_rate = 0.002;
    static constexpr double first_seen = 3.0;
    static constexpr double first_seen_of_curves = 20.0;
    static constexpr double surest = 0.9998;  // of maps

    void count(std::size_t map, double truth) {
        Mean& mean = maps_[map];
        mean.seen += 1.0;
        mean.prob += (truth - mean.prob) / mean.seen;
        mean.prob = std::min(std::max(mean.prob, 1.0 - surest), surest);
        // a mean of many hardly moves, and logarithms take long
        if (mean.seen < 64.0 || (static_cast<std::int64_t>(mean.seen) & 15) == 0)
            map_odds_[map] = log_odds(mean.prob);
    }

    void correct(std::size_t curve, std::size_t at, double truth, double share) {
        Mean& point = curves_[curve][at];
        point.seen += share;
        point.prob += (truth - point.prob) * share / point.seen;
        parameters_->curves[curve][at] = static_cast<float>(point.prob);
    }

    Parameters* parameters_;
    std::vector<Mean> maps_;
    std::vector<double> map_odds_;
    std::array<std::vector<Mean>, 2> curves_;
    std::array<std::vector<double>, 8> sums_;
    double n_noted_ = 0.0;
};

// Blocks of [1, end) in the order in which they are learnt.
inline std::vector<std::pair<Position, Position>> blocks_of(std::uint64_t end,
                                                            const MixFitParameters& how) {
    const std::uint64_t n = (end - 1 + how.block_tokens - 1) / how.block_tokens;
    const std::uint64_t every =
        std::max<std::uint64_t>(1, (end + how.most_learnt - 1) / how.most_learnt);
    std::vector<std::pair<Position, Position>> blocks;
    for (std::uint64_t sweep = 0; sweep < how.n_sweeps; ++sweep)
        for (std::uint64_t i = 0; i < n; i += every)
            if ((i / every + sweep) % how.n_sweeps == 0) {
                const std::uint64_t begin = 1 + i * how.block_tokens;
                blocks.push_back({static_cast<Position>(begin),
                                  static_cast<Position>(std::min(begin + how.block_tokens, end))});
            }
    return blocks;
}

}  // namespace mix

// Fits a mixture to an index of one shard with codes of 8 bits. progress(done, total): called for
// each block; what it throws ends the fit.
inline MixFit fit_mix(const std::shared_ptr<const OpenIndex<std::uint8_t>>& of,
                      std::shared_ptr<const KneserNeyModel> kneser_ney, const MixFitParameters& how,
                      const std::function<void(std::size_t, std::size_t)>& progress) {
    using Code = std::uint8_t;
    constexpr double first_rate = 0.003;
    constexpr double last_rate = 0.0005;
    constexpr std::size_t n_notes = 8;
    const auto shards = of->index.shards();
    if (shards.size() != 1) throw InvalidParameter("a mixture is fitted to an index of one shard");
    if (how.block_tokens == 0 || how.n_sweeps == 0 || how.most_tokens == 0 || how.most_learnt == 0)
        throw InvalidParameter("a fit needs blocks, sweeps and tokens");
    const Shard<Code>& shard = shards[0];
    const std::uint32_t n_rows = shard.n_rows();
    const std::uint32_t end = std::min(n_rows, how.most_tokens);
    mix::Asking asking(of->index.alphabet(), shards);
    const mix::Questions& questions = asking.questions;

    std::vector<std::uint32_t> symbols;
    for (Position p = 0; p < end; ++p) symbols.push_back(asking.symbols[shard.code_at(p)]);
    const mix::WordClasses classes = mix::cluster_words(symbols);
    mix::CountedText counted(shard.text().first(end), asking.symbols, classes);
    mix::Parameters parameters(questions.size());
    mix::Learner learner(parameters);
    const mix::Answerer answerer(parameters, learner.map_odds(), questions.size());
    const auto blocks = mix::blocks_of(end, how);

    // The text before each block: whatever order they are learnt in.
    std::vector<mix::Text> before(blocks.size());
    {
        std::vector<std::size_t> order(blocks.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::ranges::sort(order, {}, [&](std::size_t i) { return blocks[i].first; });
        mix::Text text;
        Position p = 1;
        for (const std::size_t i : order) {
            for (; p < blocks[i].first; ++p)
                if (shard.code_at(p) == boundary)
                    text = {};
                else
                    text.read(symbols[p], classes);
            before[i] = text;
        }
    }

    KneserNey<Code> estimator(kneser_ney, shards);
    mix::Masses masses(questions);
    mix::Evidence evidence;
    mix::Answer answer;
    Weights said;
    said.of.assign(of->index.alphabet().n_codes(), 0.0);
    MixFit fit;
    double loss = 0.0;
    std::uint64_t n_all = 0;
    for (const auto& [begin, stop] : blocks) n_all += stop - begin;
    std::uint64_t n_done = 0;
    std::size_t n_noted = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        progress(b, blocks.size());
        const auto [begin, stop] = blocks[b];
        const HeldOut held_out{begin - std::min(begin - 1, how.guard),
                               static_cast<Position>(std::min<std::uint64_t>(
                                   std::uint64_t{stop} + how.guard, n_rows))};
        estimator.hold_out(held_out, 0, n_rows, true);
        const std::size_t counted_end = std::min<std::size_t>(held_out.end, end);
        counted.leave_out(held_out.begin, counted_end);
        Context<Code> context(shards, std::vector<Chain>(1), max_context, std::nullopt);
        for (Position p = begin - std::min(begin - 1, max_context); p < begin; ++p)
            context.read(shard.code_at(p));
        mix::Text text = before[b];
        const double done = static_cast<double>(n_done) / static_cast<double>(n_all);
        const double rate = first_rate * std::pow(last_rate / first_rate, done);
        for (Position p = begin; p < stop; ++p, ++n_done) {
            const std::uint32_t code = shard.code_at(p);
            counted.prefetch_followers(std::min<std::size_t>(p + 2, end - 1));
            if (!is_repetition(context)) {
                estimator.look(context);
                said.clear();
                estimator.weigh(said);
                masses.take(said);
                evidence.take_suffixes(estimator.steps());
                for (std::size_t i = 0; i < mix::n_named; ++i)
                    evidence.take_named(i, [&](auto&& visit) { counted.for_each(i, p, visit); });
                mix::Evidence::Place place = evidence.all();
                mix::Evidence::Middles middles;
                for (std::int32_t at = questions.root(); at >= 0;) {
                    const mix::Question& question = questions[at];
                    const bool yes = code >= question.middle;
                    evidence.split(place, question.middle, middles);
                    answerer(static_cast<std::uint32_t>(at), text, evidence, place, middles,
                             masses.yes(at), answer);
                    loss -= std::log(yes ? answer.prob : 1.0 - answer.prob);
                    learner.learn(answer, yes, rate);
                    mix::Evidence::narrow(place, middles, yes);
                    at = yes ? question.yes : question.no;
                }
                ++fit.n_tokens;
            }
            context.read(code);
            if (code == boundary)
                text = {};
            else
                text.read(symbols[p], classes);
            // evenly over the second half
            if ((n_done + 1) * 2 * n_notes >= n_all * (n_notes + n_noted + 1) &&
                n_noted < n_notes) {
                learner.note();
                ++n_noted;
            }
        }
    }
    counted.leave_out(0, 0);
    progress(blocks.size(), blocks.size());
    learner.finish();
    fit.nats = fit.n_tokens == 0 ? 0.0 : loss / static_cast<double>(fit.n_tokens);
    fit.model = std::make_shared<MixModel>(std::move(kneser_ney), std::move(asking), classes,
                                           counted.table(of->index.alphabet().n_codes()),
                                           std::move(parameters));
    return fit;
}

}  // namespace infgram
