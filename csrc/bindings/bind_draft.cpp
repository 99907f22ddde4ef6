// Drafting: the engine, its requests and its drafts.
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "infgram/draft/engine.hpp"
#include "random.hpp"

using namespace infgram;
using namespace infgram::bindings;
using draft::AcceptanceMap;
using draft::Draft;
using draft::Engine;
using draft::Limits;
using draft::Node;
using draft::Request;

namespace {

using Ids = std::span<const std::uint32_t>;
// (index, discount tables for its levels, weight)
using Corpus = std::tuple<const AnyIndex*, std::span<const double>, double>;

// An engine for several threads, which take turns.
class SharedEngine {
public:
    SharedEngine(std::uint32_t vocab_size, double exponent, std::span<const double> live,
                 const std::vector<Corpus>& corpora, std::size_t cache_bytes,
                 std::uint32_t session_tokens, std::uint32_t request_tokens)
        : engine_(vocab_size, FixedPower(exponent), Discounts(live),
                  sources(corpora, FixedPower(exponent), cache_bytes), session_tokens,
                  request_tokens) {}

    // Calls work(engine) alone.
    template <class Work>
    auto with(Work&& work) {
        const std::scoped_lock lock(mutex_);
        return work(engine_);
    }

private:
    static std::vector<std::unique_ptr<draft::CorpusSource>> sources(
        const std::vector<Corpus>& corpora, const FixedPower& power, std::size_t cache_bytes) {
        std::vector<std::unique_ptr<draft::CorpusSource>> sources;
        for (const auto& [index, discounts, weight] : corpora)
            sources.push_back(
                draft::source_of(*index, power, Discounts(discounts), weight, cache_bytes));
        return sources;
    }

    Engine engine_;
    std::mutex mutex_;
};

// cost: nothing where every token pays.
Limits make_limits(std::uint32_t max_tokens, std::uint32_t max_depth, double min_prob, bool is_tree,
                   const std::optional<std::span<const double>>& cost) {
    Limits limits{max_tokens, max_depth, min_prob, is_tree};
    if (cost) limits.cost.assign(cost->begin(), cost->end());
    if (cost && cost->empty()) throw InvalidParameter("cost: expected at least one number");
    return limits;
}

// A property of all nodes, as an array.
template <class T, class Get>
auto of_nodes(Get&& get) {
    return [get](const Draft& draft) {
        std::vector<T> values;
        values.reserve(draft.nodes.size());
        for (const Node& node : draft.nodes) values.push_back(static_cast<T>(get(node)));
        return values;
    };
}

// As Python has them: (parent, tokens, probs) each.
using Laws = std::vector<std::tuple<std::int32_t, std::vector<std::uint32_t>, std::vector<double>>>;

// Of tokens that someone else put together, and of laws as `proposals` gives them.
Draft make_draft(std::span<const std::int32_t> token_ids, std::span<const std::int32_t> parents,
                 std::span<const float> probs, std::span<const std::int32_t> match_lengths,
                 std::span<const std::uint8_t> origins, const py::list& proposals) {
    const std::size_t n = token_ids.size();
    if (parents.size() != n || probs.size() != n || match_lengths.size() != n ||
        origins.size() != n)
        throw InvalidParameter("expected arrays of one length");
    Draft draft;
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t parent = parents[i];
        if (parent < draft::no_parent || parent >= static_cast<std::int32_t>(i) ||
            origins[i] >= draft::n_origins)
            throw InvalidParameter("expected parents before their children, and known origins");
        const double prob = probs[i];
        const double before = parent == draft::no_parent
                                  ? 1.0
                                  : draft.nodes[static_cast<std::size_t>(parent)].path_prob;
        draft.nodes.push_back({static_cast<std::uint32_t>(token_ids[i]),
                               parent,
                               before > 0.0 ? prob / before : 0.0,
                               prob,
                               prob,
                               0,
                               {static_cast<std::uint32_t>(match_lengths[i]),
                                static_cast<draft::Origin>(origins[i])}});
        draft.expected += prob;
    }
    for (const py::handle each : proposals) {
        const auto law = py::cast<py::tuple>(each);
        const auto parent = law[0].cast<std::int32_t>();
        const auto tokens = law[1].cast<Array<std::uint32_t>>();
        const auto chances = law[2].cast<Array<double>>();
        if (parent < draft::no_parent || parent >= static_cast<std::int32_t>(n) ||
            tokens.size() != chances.size())
            throw InvalidParameter("expected laws of what stands behind tokens of the draft");
        draft.proposals.push_back({parent,
                                   {tokens.data(), tokens.data() + tokens.size()},
                                   {chances.data(), chances.data() + chances.size()}});
    }
    return draft;
}

void bind_draft_class(py::module_& m) {
    py::class_<Draft>(m, "Draft")
        .def(py::init(&make_draft), py::arg("token_ids"), py::arg("parents"), py::arg("probs"),
             py::arg("match_lengths"), py::arg("origins"), py::arg("proposals") = py::list())
        .def("__len__", [](const Draft& self) { return self.nodes.size(); })
        .def_property_readonly("token_ids",
                               of_nodes<std::int32_t>([](const Node& node) { return node.token; }))
        .def_property_readonly("parents",
                               of_nodes<std::int32_t>([](const Node& node) { return node.parent; }))
        .def_property_readonly("probs",
                               of_nodes<float>([](const Node& node) { return node.path_prob; }))
        .def_property_readonly("raw_probs",
                               of_nodes<double>([](const Node& node) { return node.raw_prob; }))
        .def_property_readonly("match_lengths", of_nodes<std::int32_t>([](const Node& node) {
                                   return node.support.n;
                               }))
        .def_property_readonly(
            "origins", of_nodes<std::uint8_t>([](const Node& node) { return node.support.origin; }))
        .def_property_readonly("proposals",
                               [](const Draft& self) {
                                   Laws laws;
                                   for (const auto& law : self.proposals)
                                       laws.emplace_back(law.parent, law.tokens, law.probs);
                                   return laws;
                               })
        .def(
            "shortened",
            [](Draft self, std::size_t n) {
                self.shorten(n);
                return self;
            },
            py::arg("n"))
        .def("child", &Draft::child, py::arg("parent"), py::arg("token"))
        .def("accepted", &Draft::accepted, py::arg("tokens"))
        .def_readonly("expected", &Draft::expected);
}

void bind_engine(py::module_& m) {
    py::class_<SharedEngine>(m, "DraftEngine")
        .def(py::init<std::uint32_t, double, std::span<const double>, const std::vector<Corpus>&,
                      std::size_t, std::uint32_t, std::uint32_t>(),
             py::kw_only(), py::arg("vocab_size"), py::arg("exponent"), py::arg("live"),
             py::arg("corpora"), py::arg("cache_bytes"), py::arg("session_tokens"),
             py::arg("request_tokens"))
        .def(
            "start",
            [](SharedEngine& self, Ids prompt, Ids corpora) {
                return self.with([&](Engine& engine) { return engine.start(prompt, corpora); });
            },
            py::arg("prompt"), py::arg("corpora"), Released())
        .def(
            "propose",
            [](SharedEngine& self, Request& request, const Limits& limits) {
                return self.with([&](Engine& engine) { return engine.propose(request, limits); });
            },
            py::arg("request"), py::arg("limits"), Released())
        .def(
            "shorten",
            [](SharedEngine& self, Request& request, std::size_t n) {
                return self.with([&](Engine&) {
                    request.draft.shorten(n);
                    return request.draft;
                });
            },
            py::arg("request"), py::arg("n"), Released())
        .def(
            "draw",
            [](SharedEngine& self, Request& request, const Limits& limits, double temperature,
               const Uniform& bit_generator) {
                return self.with([&](Engine& engine) {
                    return engine.propose(request, limits, {bit_generator, temperature});
                });
            },
            py::arg("request"), py::arg("limits"), py::arg("temperature"), py::arg("bit_generator"),
            Released())
        .def(
            "accept",
            [](SharedEngine& self, Request& request, Ids token_ids, std::size_t n_accepted) {
                self.with([&](Engine& engine) { engine.accept(request, token_ids, n_accepted); });
            },
            py::arg("request"), py::arg("token_ids"), py::arg("n_accepted"), Released())
        .def(
            "extend",
            [](SharedEngine& self, Request& request, Ids token_ids) {
                self.with([&](Engine& engine) { engine.extend(request, token_ids); });
            },
            py::arg("request"), py::arg("token_ids"), Released())
        .def(
            "keep",
            [](SharedEngine& self, const Request& request) {
                self.with([&](Engine& engine) { engine.keep(request); });
            },
            py::arg("request"), Released())
        .def(
            "session",
            [](SharedEngine& self) {
                return self.with([](Engine& engine) { return engine.session(); });
            },
            Released())
        .def(
            "set_session",
            [](SharedEngine& self, Ids token_ids) {
                self.with([&](Engine& engine) { engine.set_session(token_ids); });
            },
            py::arg("token_ids"), Released())
        .def(
            "acceptance",
            [](SharedEngine& self) {
                return self.with([](Engine& engine) {
                    return std::tuple(engine.acceptance().numbers(),
                                      engine.acceptance_of_drawn().numbers());
                });
            },
            Released())
        .def(
            "set_acceptance",
            [](SharedEngine& self, std::span<const double> chosen, std::span<const double> drawn) {
                self.with([&](Engine& engine) {
                    AcceptanceMap first, second;  // both or none
                    first.set(chosen);
                    second.set(drawn);
                    engine.acceptance() = std::move(first);
                    engine.acceptance_of_drawn() = std::move(second);
                });
            },
            py::arg("chosen"), py::arg("drawn"), Released())
        .def(
            "totals",
            [](SharedEngine& self) {
                const auto totals = self.with([](Engine& engine) { return engine.totals(); });
                return std::tuple(totals.steps, totals.drafted, totals.accepted, totals.written,
                                  totals.expected);
            },
            Released());
}

}  // namespace

void bind_draft(py::module_& m) {
    bind_draft_class(m);
    m.def(
        "n_that_pay",
        [](std::span<const double> path_probs, std::span<const double> cost) {
            draft::Payoff payoff(cost);
            for (const double prob : path_probs) payoff.add(prob);
            return payoff.best_size();
        },
        py::arg("path_probs"), py::arg("cost"));
    py::class_<Request>(m, "DraftRequest")
        .def("__len__", [](const Request& self) { return self.tokens.size(); })
        .def_property_readonly("token_ids", [](const Request& self) { return self.tokens; })
        .def_readonly("n_prompt", &Request::n_prompt)
        .def_readonly("has_draft", &Request::has_draft);
    py::class_<Limits>(m, "DraftLimits")
        .def(py::init(&make_limits), py::kw_only(), py::arg("max_tokens"), py::arg("max_depth"),
             py::arg("min_prob"), py::arg("is_tree"), py::arg("cost"));
    bind_engine(m);
}
