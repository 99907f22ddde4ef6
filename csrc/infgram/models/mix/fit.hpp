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
#include "infgram/models/mix/learning.hpp"
#include "infgram/models/mix/mix.hpp"

namespace infgram {

struct MixFitParameters {
    std::uint32_t block_tokens = 0;  // learnt together
    std::uint32_t guard = 0;         // tokens around a block that are left out with it
    std::uint32_t n_sweeps = 0;      // over the text, each of other blocks
    std::uint32_t most_tokens = 0;   // whose named contexts are counted: of a longer text pieces
    std::uint32_t piece_tokens = 0;  // evenly over it, this long
    std::uint32_t most_learnt = 0;   // tokens: of more that are counted every so many-th block
};

template <mix::Kind kind>
struct MixFit {
    std::shared_ptr<MixModel<kind>> model;
    std::uint64_t n_tokens = 0;  // that were learnt
    double nats = 0.0;           // per token of them, each before it was learnt
};

namespace mix {

// What is counted of a text of `end` tokens and a boundary before them: all, or pieces evenly over
// it.
inline std::vector<Stretch> pieces_of(std::uint64_t end, const MixFitParameters& how) {
    if (end <= how.most_tokens) return {{1, static_cast<Position>(end)}};
    const std::uint64_t n = std::max(1u, how.most_tokens / how.piece_tokens);
    std::vector<Stretch> pieces;
    for (std::uint64_t i = 0; i < n; ++i) {
        const auto begin = static_cast<Position>(1 + i * (end - 1) / n);
        pieces.push_back({begin, begin + how.piece_tokens});
    }
    return pieces;
}

// Blocks of what is counted, in the order in which they are learnt.
inline std::vector<Stretch> blocks_of(std::span<const Stretch> pieces,
                                      const MixFitParameters& how) {
    std::vector<Stretch> all;
    std::uint64_t n_tokens = 1;
    for (const Stretch& piece : pieces) {
        for (Position begin = piece.begin; begin < piece.end; begin += how.block_tokens)
            all.push_back({begin, std::min(piece.end, begin + how.block_tokens)});
        n_tokens += piece.end - piece.begin;
    }
    const std::uint64_t every =
        std::max<std::uint64_t>(1, (n_tokens + how.most_learnt - 1) / how.most_learnt);
    std::vector<Stretch> blocks;
    for (std::uint64_t sweep = 0; sweep < how.n_sweeps; ++sweep)
        for (std::uint64_t i = 0; i < all.size(); i += every)
            if ((i / every + sweep) % how.n_sweeps == 0) blocks.push_back(all[i]);
    return blocks;
}

}  // namespace mix

// Fits a mixture to an index of one shard with codes of 8 bits. progress(done, total): called for
// each block; what it throws ends the fit.
template <mix::Kind kind>
MixFit<kind> fit_mix(const std::shared_ptr<const OpenIndex<std::uint8_t>>& of,
                     std::shared_ptr<const KneserNeyModel> kneser_ney, const MixFitParameters& how,
                     const std::function<void(std::size_t, std::size_t)>& progress) {
    using Code = std::uint8_t;
    constexpr double first_rate = 0.003;
    constexpr double last_rate = 0.0005;
    constexpr std::size_t n_notes = 8;
    const auto shards = of->index.shards();
    if (shards.size() != 1) throw InvalidParameter("a mixture is fitted to an index of one shard");
    if (how.block_tokens == 0 || how.n_sweeps == 0 || how.most_tokens == 0 ||
        how.piece_tokens == 0 || how.most_learnt == 0)
        throw InvalidParameter("a fit needs blocks, sweeps and tokens");
    const Shard<Code>& shard = shards[0];
    const std::uint32_t n_rows = shard.n_rows();
    mix::Asking asking(of->index.alphabet(), shards);
    const mix::Questions& questions = asking.questions;
    const auto pieces = mix::pieces_of(n_rows, how);
    const auto blocks = mix::blocks_of(pieces, how);

    std::vector<std::uint32_t> symbols;
    for (const auto& [begin, end] : pieces)
        for (Position p = begin; p < end; ++p) symbols.push_back(asking.symbols[shard.code_at(p)]);
    const mix::WordClasses classes = mix::cluster_words(symbols, kind.is_full);

    // What stands before some places.
    const auto texts_before = [&](const std::vector<Position>& places) {
        std::vector<mix::Text> texts(places.size());
        std::vector<std::size_t> order(places.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::ranges::sort(order, {}, [&](std::size_t i) { return places[i]; });
        mix::Text text;
        Position p = 1;
        for (const std::size_t i : order) {
            for (; p < places[i]; ++p) text.read_code(shard.code_at(p), asking.symbols, classes);
            texts[i] = text;
        }
        return texts;
    };
    // Where the text begins that counts beside the corpus.
    const auto first_of = [&](Position begin) {
        return begin - std::min(begin - 1, kind.adapts ? how.guard : 0u);
    };
    std::vector<Position> firsts;
    for (const mix::Stretch& piece : pieces) firsts.push_back(piece.begin);
    mix::CountedText<kind> counted(shard.text(), pieces, texts_before(firsts), asking.symbols,
                                   classes);
    firsts.clear();
    for (const mix::Stretch& block : blocks) firsts.push_back(first_of(block.begin));
    const std::vector<mix::Text> before = texts_before(firsts);
    mix::Learner<kind> learner(mix::Parameters<kind>(questions.size()), true);
    const mix::Answerer<kind> answerer(learner.parameters(), learner.map_odds(), questions.size());

    KneserNey<Code> estimator(kneser_ney, shards);
    mix::Masses masses(questions);
    mix::Evidence<kind> evidence;
    mix::Answer<kind> answer;
    mix::Recent<kind> recent;
    Weights said;
    said.of.assign(of->index.alphabet().n_codes(), 0.0);
    MixFit<kind> fit;
    double loss = 0.0;
    std::uint64_t n_all = 0;
    for (const auto& [begin, stop] : blocks) n_all += stop - begin;
    std::uint64_t n_done = 0;
    std::size_t n_noted = 0;
    // Of a text that is too long to be counted whole, wide ranges hardly miss what is left out, and
    // to count them for each block would take as long as the text is.
    const std::uint32_t widest = pieces.size() == 1 ? n_rows : 1u << 18;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        progress(b, blocks.size());
        const auto [begin, stop] = blocks[b];
        const HeldOut held_out{begin - std::min(begin - 1, how.guard),
                               static_cast<Position>(std::min<std::uint64_t>(
                                   std::uint64_t{stop} + how.guard, n_rows))};
        estimator.hold_out(held_out, 0, n_rows, widest);
        counted.leave_out(held_out.begin, held_out.end);
        const Position first = first_of(begin);
        std::optional<LiveText> live_text;
        if constexpr (kind.adapts)
            live_text.emplace(kneser_ney->power, stop - first + 1, LiveText::model_window);
        Context<Code> context(shards, std::vector<Chain>(1), max_context, std::move(live_text));
        mix::LiveCounts<kind> live(stop - first + 1);
        mix::Text text = before[b];
        const auto read = [&](Position p) {
            const std::uint32_t code = shard.code_at(p);
            if constexpr (kind.adapts) live.read(mix::keys_of<kind>(text), code);
            context.read(code);
            text.read_code(code, asking.symbols, classes);
        };
        if constexpr (kind.adapts)
            for (Position p = first; p < begin; ++p) read(p);
        else
            for (Position p = begin - std::min(begin - 1, max_context); p < begin; ++p)
                context.read(shard.code_at(p));
        const double done = static_cast<double>(n_done) / static_cast<double>(n_all);
        const double rate = first_rate * std::pow(last_rate / first_rate, done);
        const std::size_t first_place = counted.place_of(begin);
        for (Position p = begin; p < stop; ++p, ++n_done) {
            const std::size_t place_in_text = first_place + (p - begin);
            const std::uint32_t code = shard.code_at(p);
            counted.prefetch_followers(place_in_text + 2);
            if (!is_repetition(context)) {
                estimator.look(context);
                said.clear();
                estimator.weigh(said);
                masses.take(said);
                if constexpr (kind.adapts) {
                    live.look(mix::keys_of<kind>(text));
                    recent = live.recent();
                }
                mix::gather<kind>(
                    estimator.steps(), &live,
                    [&](std::size_t i, auto&& visit) { counted.for_each(i, place_in_text, visit); },
                    evidence);
                auto place = evidence.all();
                typename mix::Evidence<kind>::Middles middles;
                const std::uint32_t longest = evidence.longest();
                for (std::int32_t at = questions.root(); at >= 0;) {
                    const mix::Question& question = questions[at];
                    const bool yes = code >= question.middle;
                    evidence.split(place, question.middle, middles);
                    answerer(static_cast<std::uint32_t>(at), question, text, evidence, longest,
                             place, middles, recent, masses.yes(at), answer);
                    loss -= std::log(yes ? answer.prob : 1.0 - answer.prob);
                    learner.learn(answer, yes, rate);
                    mix::Evidence<kind>::narrow(place, middles, yes);
                    at = yes ? question.yes : question.no;
                }
                ++fit.n_tokens;
            }
            read(p);
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
    fit.nats = fit.n_tokens == 0 ? 0.0 : loss / static_cast<double>(fit.n_tokens);
    fit.model = std::make_shared<MixModel<kind>>(std::move(kneser_ney), std::move(asking), classes,
                                                 counted.table(of->index.alphabet().n_codes()),
                                                 learner.finish());
    return fit;
}

}  // namespace infgram
