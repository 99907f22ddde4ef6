// A text, word by word: the words that both sides of an index find least probable get candidates
// that fit better, and the best one stands if it makes the text more probable by a margin.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/copying.hpp"
#include "infgram/refine/evidence.hpp"
#include "infgram/refine/lexicon.hpp"
#include "infgram/refine/propose.hpp"
#include "infgram/refine/words.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::refine {

// What may become of a token.
enum Editable : std::uint8_t {
    no = 0,
    yes = 1,
    prompt = 2,  // no, and no verbatim run is counted there
};

struct PolishParameters {
    std::uint32_t rounds = 2;
    double share = 0.5;   // of the words, the least probable ones, that are looked at a round
    double margin = 1.0;  // nats, the mean of both sides; as often again as the word's standing is
    std::uint32_t max_copy = 0;  // longest verbatim run of what may be edited; 0: any
    std::uint32_t n_sbis = 3;    // candidates of each kind, see ProposerParameters
    std::uint32_t n_lexicon = 3;
};

// In the order in which they were made.
struct Edits {
    std::vector<std::uint32_t> rounds;
    std::vector<std::int64_t> begins;
    std::vector<double> gains;
    Candidates candidates;  // what stands there now
};

// Not for two threads. Borrows the shards of both sides.
template <class Code>
class Polisher {
public:
    Polisher(std::span<const Shard<Code>> forwards, std::span<const Shard<Code>> backwards,
             std::shared_ptr<const KneserNeyModel> model,
             std::shared_ptr<const KneserNeyModel> model_backwards,
             std::shared_ptr<const Lexicon> lexicon, std::uint32_t window)
        : letters_(lexicon->letters()),
          forwards_(forwards, std::move(model), window),
          backwards_(backwards, std::move(model_backwards), window),
          proposals_(forwards, backwards, std::move(lexicon)),
          reach_(window),
          run_(forwards) {}

    // Edits codes in place. words: those that may be edited; they rise, do not overlap, and end
    // before the text does. To break runs, marks between words are exchanged too, where `editable`
    // says that they may be.
    Edits operator()(std::span<std::uint32_t> codes, std::span<const std::uint8_t> editable,
                     std::span<const Span> words, const PolishParameters& parameters,
                     const Uniform& uniform) {
        codes_ = codes;
        editable_ = editable;
        all_words_ = words;
        parameters_ = parameters;
        edits_ = {};
        forwards_.read(codes);
        reversed_.assign(codes.rbegin(), codes.rend());
        backwards_.read(reversed_);
        touched_.assign(codes.size(), 1);
        std::uint32_t round = 0;
        while (round < parameters.rounds && edit_words(round, uniform)) ++round;
        if (parameters.max_copy != 0) break_runs(round, uniform);
        return std::move(edits_);
    }

private:
    // The best candidate so far, which stands in best_ once there is one.
    struct Choice {
        double gain;
        Span at;
    };

    // Whether anything was edited. A word around which nothing changed since it was looked at last
    // is not looked at again.
    bool edit_words(std::uint32_t round, const Uniform& uniform) {
        words_.clear();
        for (const Span at : all_words_) words_.push_back({mean_log_prob(at), at});
        const auto n = static_cast<std::size_t>(
            std::ceil(parameters_.share * static_cast<double>(words_.size())));
        std::ranges::stable_sort(words_, {}, &std::pair<double, Span>::first);
        bool edited = false;
        for (const auto& [log_prob, at] : std::span(words_).first(n)) {
            const auto touched = std::span(touched_).subspan(at.begin, at.size());
            if (std::ranges::find(touched, 1) == touched.end()) continue;
            std::ranges::fill(touched, 0);
            Choice best{parameters_.margin * (1.0 + proposals_.standing(codes_, at)), at};
            best_.clear();
            choose(best, at, Wanted::better, uniform, [](const Candidate&) { return true; });
            if (best_.size() == 0) continue;
            accept(round, best);
            edited = true;
        }
        return edited;
    }

    // Of both sides, a token of the word and the one that it ends at.
    [[nodiscard]] double mean_log_prob(Span at) const {
        double sum = 0.0;
        const std::size_t n = codes_.size();
        for (std::size_t i = at.begin; i < at.end; ++i)
            sum += forwards_.log_prob()[i] + backwards_.log_prob()[n - 1 - i];
        sum += forwards_.log_prob()[at.end];
        if (at.begin > 0) sum += backwards_.log_prob()[n - at.begin];
        return sum / static_cast<double>(at.size() + 1);
    }

    // Keeps the best of the word's candidates that are allowed, if it is better than `best`.
    template <class Allowed>
    void choose(Choice& best, Span at, Wanted wanted, const Uniform& uniform, Allowed&& allowed) {
        candidates_.clear();
        proposals_(forwards_.before(at.begin), backwards_.before(codes_.size() - at.end), codes_,
                   at, {parameters_.n_sbis, parameters_.n_lexicon, wanted}, uniform, candidates_);
        keep_best(best, at, allowed);
    }

    template <class Allowed>
    void keep_best(Choice& best, Span at, Allowed&& allowed) {
        for (std::size_t i = 0; i < candidates_.size(); ++i) {
            const Candidate candidate = candidates_[i];
            // The other side hardly ever makes up for more than that.
            const double forwards =
                forwards_.gain(at.begin, candidate.codes, 2.0 * best.gain - most_of_a_side);
            if (forwards < 2.0 * best.gain - most_of_a_side) continue;
            with_.assign(candidate.codes.rbegin(), candidate.codes.rend());
            const double backwards = backwards_.gain(codes_.size() - at.end, with_,
                                                     2.0 * best.gain - forwards - most_of_a_side);
            const double gain = 0.5 * (forwards + backwards);
            if (gain <= best.gain || !allowed(candidate)) continue;
            best = {gain, at};
            best_.clear();
            best_.add(candidate);
        }
    }

    void accept(std::uint32_t round, const Choice& choice) {
        const auto at = codes_.subspan(choice.at.begin, choice.at.size());
        edits_.rounds.push_back(round);
        edits_.begins.push_back(static_cast<std::int64_t>(choice.at.begin));
        edits_.gains.push_back(choice.gain);
        edits_.candidates.add(best_[0]);
        std::ranges::copy(best_[0].codes, at.begin());
        forwards_.replace(choice.at.begin, at);
        with_.assign(at.rbegin(), at.rend());
        backwards_.replace(codes_.size() - choice.at.end, with_);
        const std::size_t first = choice.at.begin > reach_ ? choice.at.begin - reach_ : 0;
        const std::size_t last = std::min(choice.at.end + reach_, touched_.size());
        std::fill(touched_.begin() + static_cast<std::ptrdiff_t>(first),
                  touched_.begin() + static_cast<std::ptrdiff_t>(last), std::uint8_t{1});
    }

    // Edits something in every verbatim run that is too long, where anything can be found: a word
    // that fits, or else any word, or else a mark.
    void break_runs(std::uint32_t round, const Uniform& uniform) {
        const std::size_t longest = parameters_.max_copy;
        std::size_t from = 0;
        while (true) {
            const std::size_t end = end_of_run({from, codes_.size()});
            if (end == 0) return;
            const Span run{end - longest - 1, end};
            Choice best{-std::numeric_limits<double>::infinity(), {}};
            best_.clear();
            for (const Wanted wanted : {Wanted::fitting, Wanted::word})
                if (best_.size() == 0) choose_word(best, run, wanted, uniform);
            if (best_.size() == 0) choose_mark(best, run);
            if (best_.size() == 0) {
                from = end - longest;
                continue;
            }
            accept(round, best);
            from = best.at.begin > longest ? std::max(from, best.at.begin - longest) : from;
        }
    }

    // Of all words that have a token of the run.
    void choose_word(Choice& best, Span run, Wanted wanted, const Uniform& uniform) {
        auto word = std::ranges::upper_bound(all_words_, run.begin, {}, &Span::end);
        for (; word != all_words_.end() && word->begin < run.end; ++word)
            choose(best, *word, wanted, uniform,
                   [&](const Candidate& candidate) { return breaks(*word, candidate); });
    }

    // Of all marks of the run, in place of which all others are tried.
    void choose_mark(Choice& best, Span run) {
        for (std::size_t i = run.begin; i < run.end; ++i) {
            if (editable_[i] != yes || !letters_.is_mark(codes_[i])) continue;
            candidates_.clear();
            for (std::uint32_t code = 1; code < letters_.n_codes(); ++code)
                if (code != codes_[i] && letters_.is_mark(code))
                    candidates_.add({std::span(&code, 1), Proposer::exchange, std::nullopt});
            const Span at{i, i + 1};
            keep_best(best, at, [&](const Candidate& candidate) { return breaks(at, candidate); });
        }
    }

    // Whether with the candidate no run of the tokens around it is too long.
    [[nodiscard]] bool breaks(Span at, const Candidate& candidate) {
        const std::size_t longest = parameters_.max_copy;
        const auto word = codes_.subspan(at.begin, at.size());
        with_.assign(word.begin(), word.end());
        std::ranges::copy(candidate.codes, word.begin());
        const bool broken = end_of_run({at.begin > longest ? at.begin - longest : 0,
                                        std::min(at.end + longest, codes_.size())}) == 0;
        std::ranges::copy(with_, word.begin());
        return broken;
    }

    // Where the first verbatim run among these tokens becomes too long: it is of the max_copy + 1
    // tokens before. 0 if none does.
    [[nodiscard]] std::size_t end_of_run(Span at) {
        run_.separate();
        for (std::size_t i = at.begin; i < at.end; ++i) {
            if (editable_[i] == prompt)
                run_.separate();
            else if (run_.too_long(codes_[i], parameters_.max_copy))
                return i + 1;
        }
        return 0;
    }

    static constexpr double most_of_a_side = 12.0;  // nats

    Letters letters_;
    Evidence<Code> forwards_;
    Evidence<Code> backwards_;
    Proposals<Code> proposals_;
    std::span<std::uint32_t> codes_;
    std::span<const std::uint8_t> editable_;
    std::span<const Span> all_words_;
    PolishParameters parameters_;
    Edits edits_;
    Candidates best_;
    std::vector<std::uint32_t> reversed_;
    std::vector<std::uint32_t> with_;
    std::vector<std::pair<double, Span>> words_;
    Candidates candidates_;
    std::size_t reach_;                  // tokens around an edit that are judged anew
    std::vector<std::uint8_t> touched_;  // by token: 1 where a word of it is to be looked at
    RunWatch<Code> run_;
};

}  // namespace infgram::refine
