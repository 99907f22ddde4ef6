// Drafts for requests: what sources say about a context and its continuations, best first.
//
// The probability of a token is that of interpolated Kneser-Ney over all levels of all sources,
// the longest level first; at equal length the request's own text before the session before the
// corpora. A map learnt online turns it into the probability of acceptance. The tree takes the
// nodes with the highest probability that all of their path is accepted: no other tree of that size
// is expected to give noticeably more tokens.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "infgram/draft/acceptance.hpp"
#include "infgram/draft/draft.hpp"
#include "infgram/draft/payoff.hpp"
#include "infgram/draft/source.hpp"
#include "infgram/draft/waiting.hpp"
#include "infgram/models/sampler.hpp"

namespace infgram::draft {

// Tokens of context that texts which grow tell apart: loops of a model can be long.
inline constexpr std::uint32_t live_window = 128;

struct Limits {
    std::uint32_t max_tokens = 8;
    std::uint32_t max_depth = 64;
    double min_prob = 0.0;       // of a node's path
    bool is_tree = true;         // false: a single path
    std::vector<double> cost{};  // cost[k]: of a step of the target with k drafted tokens
};

// Tokens are drawn instead of chosen: from what the candidates have, to a power and divided by the
// sum. Siblings are drawn without those drawn before.
struct Drawing {
    Uniform uniform;
    double temperature = 1.0;  // above 0
};

// Over all drafts whose outcome is known.
struct Totals {
    std::uint64_t steps = 0;
    std::uint64_t drafted = 0;   // tokens
    std::uint64_t accepted = 0;  // of them
    std::uint64_t written = 0;   // those accepted, and the target's own
    double expected = 0.0;       // tokens accepted
};

// A running request. `engine.hpp` alone looks inside.
struct Request {
    LiveText text;
    std::vector<std::uint32_t> corpora;  // that it is drafted from
    std::vector<Chains> chains;          // of each corpus there is
    std::vector<std::uint32_t> tokens;   // prompt and output
    std::size_t n_prompt = 0;
    Draft draft;  // the last one, until its outcome is known
    bool has_draft = false;
};

// Thread-safety: none.
class Engine {
public:
    // Levels of texts that grow have the live discounts of a fit with the same power.
    Engine(std::uint32_t vocab_size, const FixedPower& power, Discounts live_discounts,
           std::vector<std::unique_ptr<CorpusSource>> corpora, std::uint32_t session_tokens,
           std::uint32_t request_tokens)
        : vocab_size_(vocab_size),
          power_(power),
          discounts_(std::move(live_discounts)),
          corpora_(std::move(corpora)),
          request_tokens_(request_tokens),
          session_tokens_(session_tokens),
          session_(power, session_tokens, live_window),
          candidates_(vocab_size) {}
    Engine(const Engine&) = delete;  // its sources borrow from it
    Engine& operator=(const Engine&) = delete;

    [[nodiscard]] std::uint32_t vocab_size() const noexcept { return vocab_size_; }

    // corpora: which of them the request is drafted from, rising.
    [[nodiscard]] Request start(std::span<const std::uint32_t> prompt,
                                std::span<const std::uint32_t> corpora) const {
        check(prompt);
        for (const std::uint32_t corpus : corpora)
            if (corpus >= corpora_.size()) throw InvalidParameter("no corpus has that number");
        Request request{LiveText(power_, request_tokens_, live_window),
                        {corpora.begin(), corpora.end()},
                        {},
                        {},
                        0,
                        {},
                        false};
        for (const auto& corpus : corpora_) request.chains.push_back(corpus->start());
        read(request, prompt);
        request.n_prompt = prompt.size();
        return request;
    }

    // The result is the request's draft.
    const Draft& propose(Request& request, const Limits& limits) {
        Draft& draft = request.draft;
        begin(request);
        waiting_.clear();
        if (limits.max_tokens != 0 && limits.max_depth != 0) expand(request, 0, limits);
        Payoff payoff(limits.cost);
        while (!waiting_.empty() && payoff.can_grow(waiting_.highest())) {
            draft.nodes.push_back(waiting_.take());
            payoff.add(draft.nodes.back().path_prob);
            const std::size_t n = draft.nodes.size();
            if (n == limits.max_tokens) break;
            if (!can_gain(draft.nodes.back(), limits.max_tokens - n)) continue;
            enter(request, draft.nodes.back(), n);
            if (states_[n].path.size() < limits.max_depth) expand(request, n, limits);
        }
        draft.nodes.resize(payoff.best_size());
        for (const Node& node : draft.nodes) draft.expected += node.path_prob;
        return draft;
    }

    // The same with tokens that are drawn. Whether a token is drawn, and after which context, is
    // decided before it is known: that is what makes verification exact.
    const Draft& propose(Request& request, const Limits& limits, const Drawing& drawing) {
        Draft& draft = request.draft;
        begin(request);
        draws_.clear();
        if (limits.max_tokens != 0 && limits.max_depth != 0) prepare(request, draft, 0, drawing);
        Payoff payoff(limits.cost);
        while (!draws_.empty()) {
            const auto [prob, before] = draws_.front();
            if (prob <= limits.min_prob || !payoff.grows(prob)) break;
            std::ranges::pop_heap(draws_);
            draws_.pop_back();
            const Proposal& best = draft.proposals[~before];
            const auto at = static_cast<std::size_t>(best.parent + 1);
            payoff.add(prob);
            draft.expected += prob;
            draw(draft, best, states_[at], limits, drawing);
            const std::size_t n = draft.nodes.size();
            if (n == limits.max_tokens) break;
            wait_to_draw(states_[at], ~before);
            enter(request, draft.nodes.back(), n);
            if (states_[n].path.size() < limits.max_depth) prepare(request, draft, n, drawing);
        }
        return draft;
    }

    // The target's tokens: what it accepted of the last draft, n_accepted or more, and its own
    // behind that.
    void accept(Request& request, std::span<const std::uint32_t> tokens, std::size_t n_accepted) {
        check(tokens);
        const std::size_t found = request.draft.accepted(tokens).size();
        if (found < n_accepted)
            throw InvalidParameter("num_accepted is " + std::to_string(n_accepted) +
                                   ", but of the tokens given the draft has the first " +
                                   std::to_string(found));
        learn(request.draft, tokens);
        ++totals_.steps;
        totals_.drafted += request.draft.nodes.size();
        totals_.accepted += found;
        totals_.written += tokens.size();
        totals_.expected += request.draft.expected;
        extend(request, tokens);
    }

    // Tokens that came without a draft.
    void extend(Request& request, std::span<const std::uint32_t> tokens) const {
        check(tokens);
        request.draft.clear();
        request.has_draft = false;
        read(request, tokens);
    }

    // What the request wrote becomes part of the session.
    void keep(const Request& request) {
        if (session_tokens_ == 0) return;
        session_.separate();
        for (const std::uint32_t token : std::span(request.tokens).subspan(request.n_prompt))
            session_.read(live_code(token));
        session_.separate();
    }

    // What requests wrote before, as token ids; between requests, Alphabet::unknown.
    [[nodiscard]] std::vector<std::uint32_t> session() const {
        std::vector<std::uint32_t> tokens(session_.text().begin(), session_.text().end());
        for (std::uint32_t& token : tokens)
            if (token != Alphabet::unknown) token -= live_code(0);
        return tokens;
    }
    // Takes the place of what requests wrote before.
    void set_session(std::span<const std::uint32_t> tokens) {
        LiveText text(power_, session_tokens_, live_window);
        for (const std::uint32_t token : tokens) {
            if (token == Alphabet::unknown) {
                text.separate();
                continue;
            }
            check({&token, 1});
            if (session_tokens_ != 0) text.read(live_code(token));
        }
        session_ = std::move(text);
    }

    [[nodiscard]] const Totals& totals() const noexcept { return totals_; }

    // Of tokens that were chosen, and of those that were drawn.
    [[nodiscard]] AcceptanceMap& acceptance() noexcept { return acceptance_; }
    [[nodiscard]] AcceptanceMap& acceptance_of_drawn() noexcept { return drawn_; }

private:
    // Levels are read until what is left for shorter ones is that little, of the whole or of what
    // the last of the nodes that are waiting has; and, of the whole, sooner where there are as many
    // candidates as can be drafted.
    static constexpr double least_rest = 0.005;
    static constexpr double least_rest_of_many = 0.02;
    static constexpr double least_share = 0.6;
    // Tokens that what follows a node could add to a draft, at most, or it is not looked for.
    static constexpr double least_gain = 0.08;
    static constexpr double least_drawn = 0.02;  // the same where tokens are drawn
    static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

    // A context: the request's with the tokens of a path behind it. The first is the request's own,
    // the others are those of nodes.
    struct State {
        std::vector<Chains> chains;
        std::vector<std::uint32_t> path;  // as codes of texts that grow
        double path_prob = 1.0;
        // Where children are drawn: what is left to draw from, and of the next draw what it is
        // expected to give.
        std::vector<double> left;
        double all_rejected = 1.0;
        double draw_prob = 0.0;
        double raw_prob = 0.0;
        std::uint32_t kind = 0;
        Support support{};
    };

    void check(std::span<const std::uint32_t> tokens) const {
        for (const std::uint32_t token : tokens)
            if (token >= vocab_size_)
                throw InvalidParameter("token id " + std::to_string(token) +
                                       " is outside the vocabulary of " +
                                       std::to_string(vocab_size_));
    }

    void read(Request& request, std::span<const std::uint32_t> tokens) const {
        for (const std::uint32_t token : tokens) {
            for (const std::uint32_t i : request.corpora)
                corpora_[i]->advance(request.chains[i], token);
            request.text.read(live_code(token));
            request.tokens.push_back(token);
        }
    }

    void begin(Request& request) {
        sources_ = {&live_, &past_};
        for (const std::uint32_t i : request.corpora) sources_.push_back(corpora_[i].get());
        if (states_.empty()) states_.emplace_back();
        states_[0].chains = request.chains;
        states_[0].path.clear();
        states_[0].path_prob = 1.0;
        request.has_draft = true;
        request.draft.clear();
        // The session's text does not end with the request's: its contexts are handed over.
        const auto& tokens = request.tokens;
        const std::size_t n = std::min<std::size_t>(tokens.size(), live_window);
        tail_.resize(n);
        std::ranges::transform(std::span(tokens).last(n), tail_.begin(), live_code);
    }

    // Makes the state of a node.
    void enter(const Request& request, const Node& node, std::size_t state) {
        if (states_.size() <= state) states_.resize(state + 1);
        const State& before = states_[static_cast<std::size_t>(node.parent + 1)];
        State& here = states_[state];
        here.chains = before.chains;
        here.path = before.path;
        here.path.push_back(live_code(node.token));
        here.path_prob = node.path_prob;
        for (const std::uint32_t i : request.corpora)
            corpora_[i]->advance(here.chains[i], node.token);
    }

    // Whether what follows a node may be worth a look: none of it is likelier than the node, and it
    // takes the place of nodes that wait.
    [[nodiscard]] bool can_gain(const Node& node, std::size_t room) const noexcept {
        return waiting_.size() < room ||
               static_cast<double>(room) * (node.path_prob - waiting_.lowest()) >= least_gain;
    }

    // Puts a state's children among the nodes that wait, of which as many are kept as there is room
    // for in the draft.
    void expand(const Request& request, std::size_t at, const Limits& limits) {
        const State& state = states_[at];
        const std::size_t room = limits.max_tokens - at;
        const double worst = waiting_.size() < room ? limits.min_prob : waiting_.lowest();
        const double least = std::max(least_rest, least_share * worst / state.path_prob);
        find_candidates(request, state, least, room);
        children_.clear();
        for (const Candidate& candidate : candidates_.all())
            if (candidate.prob > least) children_.push_back(candidate);
        if (!limits.is_tree && !children_.empty()) {
            std::swap(children_.front(),
                      *std::ranges::max_element(children_, {}, &Candidate::prob));
            children_.resize(1);
        }
        double highest = 0.0;
        for (const Candidate& child : children_) highest = std::max(highest, child.prob);
        double sum = 0.0;
        for (Candidate& child : children_) {
            const double raw = child.prob;
            const std::uint32_t kind = AcceptanceMap::kind(child.support, raw == highest);
            child.prob = acceptance_(kind, raw);
            sum += child.prob;
            new_nodes_.push_back({child.token, static_cast<std::int32_t>(at) - 1, child.prob, 0.0,
                                  raw, kind, child.support});
        }
        for (Node& node : new_nodes_) {
            if (sum > 1.0) node.prob /= sum;
            node.path_prob = state.path_prob * node.prob;
            if (node.path_prob <= limits.min_prob) continue;
            if (waiting_.size() == room) {
                if (node.path_prob <= waiting_.lowest()) continue;
                waiting_.drop();
            }
            waiting_.add(node);
        }
        new_nodes_.clear();
    }

    // Makes the law that a state's children are drawn from.
    void prepare(const Request& request, Draft& draft, std::size_t at, const Drawing& drawing) {
        State& state = states_[at];
        state.draw_prob = 0.0;
        find_candidates(request, state, least_drawn, all);
        if (candidates_.all().empty()) return;
        Proposal proposal{static_cast<std::int32_t>(at) - 1, {}, {}};
        double sum = 0.0;
        state.support = candidates_.all().front().support;
        // Divided by the highest, or all would vanish at a low temperature.
        const double highest = std::ranges::max(candidates_.all(), {}, &Candidate::prob).prob;
        for (const Candidate& candidate : candidates_.all()) {
            proposal.tokens.push_back(candidate.token);
            proposal.probs.push_back(std::pow(candidate.prob / highest, 1.0 / drawing.temperature));
            sum += proposal.probs.back();
        }
        for (double& prob : proposal.probs) prob /= sum;
        state.left = proposal.probs;
        state.all_rejected = 1.0;
        look_forward(state);
        wait_to_draw(state, draft.proposals.size());
        draft.proposals.push_back(std::move(proposal));
    }

    // A state's next draw waits.
    void wait_to_draw(const State& state, std::size_t proposal) {
        draws_.emplace_back(state.draw_prob, ~proposal);  // of equals, the first one
        std::ranges::push_heap(draws_);
    }

    // What the next draw of a state is expected to give.
    void look_forward(State& state) const {
        state.raw_prob = *std::ranges::max_element(state.left);
        state.kind = AcceptanceMap::kind(state.support, state.all_rejected == 1.0);
        state.draw_prob = state.raw_prob > 0.0 ? state.path_prob * state.all_rejected *
                                                     drawn_(state.kind, state.raw_prob)
                                               : 0.0;
    }

    void draw(Draft& draft, const Proposal& proposal, State& state, const Limits& limits,
              const Drawing& drawing) {
        double sum = 0.0;
        for (const double prob : state.left) sum += prob;
        const double drawn = drawing.uniform() * sum;
        double reached = 0.0;
        std::size_t chosen = proposal.tokens.size();
        for (std::size_t i = 0; i < proposal.tokens.size(); ++i) {
            if (state.left[i] == 0.0) continue;
            chosen = i;  // the last one, where rounding leaves drawn == sum
            reached += state.left[i];
            if (drawn < reached) break;
        }
        const double prob = state.draw_prob / (state.path_prob * state.all_rejected);
        draft.nodes.push_back({proposal.tokens[chosen], proposal.parent, prob, state.draw_prob,
                               state.raw_prob, state.kind, state.support});
        state.left[chosen] = 0.0;
        state.all_rejected *= 1.0 - prob;
        if (limits.is_tree)
            look_forward(state);
        else
            state.draw_prob = 0.0;
    }

    // enough: as many candidates as are wanted.
    void find_candidates(const Request& request, const State& state, double least,
                         std::size_t enough) {
        candidates_.clear();
        for (const std::uint32_t i : request.corpora) corpora_[i]->find(state.chains[i]);
        live_.look(request.text, state.path);
        more_.assign(tail_.begin(), tail_.end());
        more_.insert(more_.end(), state.path.begin(), state.path.end());
        past_.look(session_, more_);
        Reach reach{0, std::max(live_.longest(), past_.longest())};
        for (const std::uint32_t i : request.corpora) {
            corpora_[i]->begin();
            reach.corpus = std::max(reach.corpus, corpora_[i]->longest());
        }
        double rest = 1.0;
        while (rest > least && (rest > least_rest_of_many || candidates_.all().size() < enough)) {
            Source* longest = nullptr;
            std::uint32_t n = 0;
            for (Source* source : sources_)
                if (const auto next = source->next(); next && (longest == nullptr || *next > n)) {
                    longest = source;
                    n = *next;
                }
            if (longest == nullptr) break;
            rest *= longest->read(reach, rest, candidates_);
        }
    }

    // Which children of accepted nodes were accepted.
    void learn(const Draft& draft, std::span<const std::uint32_t> tokens) {
        const bool is_drawn = !draft.proposals.empty();
        std::int32_t parent = no_parent;
        for (const std::uint32_t token : tokens) {
            std::int32_t accepted = no_parent;
            for (std::size_t i = 0; i < draft.nodes.size(); ++i) {
                const Node& node = draft.nodes[i];
                // Of those drawn, one is tried after another, until one is accepted.
                if (node.parent != parent || (is_drawn && accepted != no_parent)) continue;
                const bool is_it = node.token == token;
                (is_drawn ? drawn_ : acceptance_).observe(node.kind, node.raw_prob, is_it);
                if (is_it) accepted = static_cast<std::int32_t>(i);
            }
            if (accepted == no_parent) return;
            parent = accepted;
        }
    }

    std::uint32_t vocab_size_;
    FixedPower power_;
    Discounts discounts_;
    std::vector<std::unique_ptr<CorpusSource>> corpora_;
    std::uint32_t request_tokens_;
    std::uint32_t session_tokens_;
    LiveText session_;
    AcceptanceMap acceptance_;
    AcceptanceMap drawn_;
    Totals totals_;
    LiveSource live_{Origin::live, discounts_};
    LiveSource past_{Origin::session, discounts_};
    std::vector<Source*> sources_;  // of a request; at equal length those before come first
    Candidates candidates_;
    std::vector<State> states_;  // of nodes, and before them the request's
    Waiting waiting_;
    std::vector<std::pair<double, std::size_t>> draws_;  // a heap, the likeliest in front
    std::vector<Node> new_nodes_;
    std::vector<Candidate> children_;
    std::vector<std::uint32_t> tail_;
    std::vector<std::uint32_t> more_;
};

}  // namespace infgram::draft
