// Drafting: the engine, its requests and its drafts, over indexes of any width.
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "infgram/draft/engine.hpp"
#include "owned.hpp"
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

// (index, discount tables for its levels, weight)
using Corpus = std::tuple<py::object, Array<double>, double>;

template <class Code>
std::unique_ptr<draft::CorpusSource> source_of(const Corpus& corpus, const FixedPower& power,
                                               std::size_t cache_bytes) {
    const auto& [index, discounts, weight] = corpus;
    if (!py::isinstance<OwnedIndex<Code>>(index)) return nullptr;
    return std::make_unique<draft::IndexSource<Code>>(index.cast<const OwnedIndex<Code>&>().index,
                                                      power, Discounts(view(discounts)), weight,
                                                      cache_bytes);
}

// An engine for several threads, which take turns, and the indexes that it borrows.
class SharedEngine {
public:
    SharedEngine(std::uint32_t vocab_size, double exponent, const Array<double>& live,
                 const std::vector<Corpus>& corpora, std::size_t cache_bytes,
                 std::uint32_t session_tokens, std::uint32_t request_tokens)
        : engine_(vocab_size, FixedPower(exponent), Discounts(view(live)),
                  sources(corpora, FixedPower(exponent), cache_bytes), session_tokens,
                  request_tokens) {
        for (const Corpus& corpus : corpora) indexes_.append(std::get<0>(corpus));
    }

    // Calls work(engine) alone, without the GIL.
    template <class Work>
    auto with(Work&& work) {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        return work(engine_);
    }

private:
    static std::vector<std::unique_ptr<draft::CorpusSource>> sources(
        const std::vector<Corpus>& corpora, const FixedPower& power, std::size_t cache_bytes) {
        std::vector<std::unique_ptr<draft::CorpusSource>> sources;
        for (const Corpus& corpus : corpora) {
            auto source = source_of<std::uint8_t>(corpus, power, cache_bytes);
            if (!source) source = source_of<std::uint16_t>(corpus, power, cache_bytes);
            if (!source) source = source_of<std::uint32_t>(corpus, power, cache_bytes);
            if (!source) throw InvalidParameter("expected an index");
            sources.push_back(std::move(source));
        }
        return sources;
    }

    py::list indexes_;
    Engine engine_;
    std::mutex mutex_;
};

Limits make_limits(std::uint32_t max_tokens, std::uint32_t max_depth, double min_prob, bool is_tree,
                   const std::optional<Array<double>>& cost) {
    Limits limits{max_tokens, max_depth, min_prob, is_tree, {}};
    if (cost) limits.cost = view(*cost);
    if (cost && limits.cost.empty()) throw InvalidParameter("cost: expected at least one number");
    return limits;
}

template <class T, class Get>
Array<T> of_nodes(const Draft& draft, Get&& get) {
    Array<T> values(static_cast<py::ssize_t>(draft.nodes.size()));
    T* at = values.mutable_data();
    for (const Node& node : draft.nodes) *at++ = static_cast<T>(get(node));
    return values;
}

// Of tokens that someone else put together.
Draft make_draft(const Array<std::int32_t>& token_ids, const Array<std::int32_t>& parents,
                 const Array<float>& probs, const Array<std::int32_t>& match_lengths,
                 const Array<std::uint8_t>& origins) {
    const auto n = view(token_ids).size();
    if (view(parents).size() != n || view(probs).size() != n || view(match_lengths).size() != n ||
        view(origins).size() != n)
        throw InvalidParameter("expected arrays of one length");
    Draft draft;
    for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t parent = view(parents)[i];
        const std::uint8_t origin = view(origins)[i];
        if (parent < draft::no_parent || parent >= static_cast<std::int32_t>(i) ||
            origin >= draft::n_origins)
            throw InvalidParameter("expected parents before their children, and known origins");
        const double prob = view(probs)[i];
        const double before = parent == draft::no_parent
                                  ? 1.0
                                  : draft.nodes[static_cast<std::size_t>(parent)].path_prob;
        draft.nodes.push_back({static_cast<std::uint32_t>(view(token_ids)[i]),
                               parent,
                               before > 0.0 ? prob / before : 0.0,
                               prob,
                               prob,
                               0,
                               {static_cast<std::uint32_t>(view(match_lengths)[i]),
                                static_cast<draft::Origin>(origin)}});
        draft.expected += prob;
    }
    return draft;
}

void bind_draft_class(py::module_& m) {
    py::class_<Draft>(m, "Draft")
        .def(py::init(&make_draft), py::arg("token_ids").noconvert(),
             py::arg("parents").noconvert(), py::arg("probs").noconvert(),
             py::arg("match_lengths").noconvert(), py::arg("origins").noconvert())
        .def("__len__", [](const Draft& self) { return self.nodes.size(); })
        .def_property_readonly("token_ids",
                               [](const Draft& self) {
                                   return of_nodes<std::int32_t>(
                                       self, [](const Node& node) { return node.token; });
                               })
        .def_property_readonly("parents",
                               [](const Draft& self) {
                                   return of_nodes<std::int32_t>(
                                       self, [](const Node& node) { return node.parent; });
                               })
        .def_property_readonly("probs",
                               [](const Draft& self) {
                                   return of_nodes<float>(
                                       self, [](const Node& node) { return node.path_prob; });
                               })
        .def_property_readonly("raw_probs",
                               [](const Draft& self) {
                                   return of_nodes<double>(
                                       self, [](const Node& node) { return node.raw_prob; });
                               })
        .def_property_readonly("match_lengths",
                               [](const Draft& self) {
                                   return of_nodes<std::int32_t>(
                                       self, [](const Node& node) { return node.support.n; });
                               })
        .def_property_readonly("origins",
                               [](const Draft& self) {
                                   return of_nodes<std::uint8_t>(
                                       self, [](const Node& node) { return node.support.origin; });
                               })
        .def_property_readonly("proposals",
                               [](const Draft& self) {
                                   py::list laws;
                                   for (const auto& law : self.proposals)
                                       laws.append(py::make_tuple(law.parent, to_array(law.tokens),
                                                                  to_array(law.probs)));
                                   return laws;
                               })
        .def_readonly("expected", &Draft::expected);
}

}  // namespace

void bind_draft(py::module_& m) {
    bind_draft_class(m);
    m.def(
        "n_that_pay",
        [](const Array<double>& path_probs, const Array<double>& cost) {
            draft::Payoff payoff(view(cost));
            for (const double prob : view(path_probs)) payoff.add(prob);
            return payoff.best_size();
        },
        py::arg("path_probs").noconvert(), py::arg("cost").noconvert());
    py::class_<Request>(m, "DraftRequest")
        .def("__len__", [](const Request& self) { return self.tokens.size(); })
        .def_property_readonly("token_ids",
                               [](const Request& self) { return to_array(self.tokens); })
        .def_readonly("n_prompt", &Request::n_prompt)
        .def_readonly("has_draft", &Request::has_draft);
    py::class_<SharedEngine>(m, "DraftEngine")
        .def(py::init<std::uint32_t, double, const Array<double>&, const std::vector<Corpus>&,
                      std::size_t, std::uint32_t, std::uint32_t>(),
             py::kw_only(), py::arg("vocab_size"), py::arg("exponent"), py::arg("live").noconvert(),
             py::arg("corpora"), py::arg("cache_bytes"), py::arg("session_tokens"),
             py::arg("request_tokens"))
        .def(
            "start",
            [](SharedEngine& self, const Array<std::uint32_t>& prompt) {
                const auto tokens = view(prompt);
                return self.with([&](Engine& engine) { return engine.start(tokens); });
            },
            py::arg("prompt").noconvert())
        .def(
            "propose",
            [](SharedEngine& self, Request& request, std::uint32_t max_tokens,
               std::uint32_t max_depth, double min_prob, bool is_tree,
               const std::optional<Array<double>>& cost) {
                const Limits limits = make_limits(max_tokens, max_depth, min_prob, is_tree, cost);
                return self.with([&](Engine& engine) { return engine.propose(request, limits); });
            },
            py::arg("request"), py::kw_only(), py::arg("max_tokens"), py::arg("max_depth"),
            py::arg("min_prob"), py::arg("is_tree"), py::arg("cost"))
        .def(
            "draw",
            [](SharedEngine& self, Request& request, std::uint32_t max_tokens,
               std::uint32_t max_depth, double min_prob, bool is_tree,
               const std::optional<Array<double>>& cost, double temperature,
               const py::object& bit_generator) {
                const Limits limits = make_limits(max_tokens, max_depth, min_prob, is_tree, cost);
                const draft::Drawing drawing{uniform_of(bit_generator), temperature};
                return self.with(
                    [&](Engine& engine) { return engine.propose(request, limits, drawing); });
            },
            py::arg("request"), py::kw_only(), py::arg("max_tokens"), py::arg("max_depth"),
            py::arg("min_prob"), py::arg("is_tree"), py::arg("cost"), py::arg("temperature"),
            py::arg("bit_generator"))
        .def(
            "accept",
            [](SharedEngine& self, Request& request, const Array<std::uint32_t>& token_ids,
               std::size_t n_accepted) {
                const auto tokens = view(token_ids);
                self.with([&](Engine& engine) { engine.accept(request, tokens, n_accepted); });
            },
            py::arg("request"), py::arg("token_ids").noconvert(), py::arg("n_accepted"))
        .def(
            "extend",
            [](SharedEngine& self, Request& request, const Array<std::uint32_t>& token_ids) {
                const auto tokens = view(token_ids);
                self.with([&](Engine& engine) { engine.extend(request, tokens); });
            },
            py::arg("request"), py::arg("token_ids").noconvert())
        .def(
            "keep",
            [](SharedEngine& self, const Request& request) {
                self.with([&](Engine& engine) { engine.keep(request); });
            },
            py::arg("request"))
        .def("session",
             [](SharedEngine& self) {
                 return to_array(self.with([](Engine& engine) { return engine.session(); }));
             })
        .def(
            "set_session",
            [](SharedEngine& self, const Array<std::uint32_t>& token_ids) {
                const auto tokens = view(token_ids);
                self.with([&](Engine& engine) { engine.set_session(tokens); });
            },
            py::arg("token_ids").noconvert())
        .def("acceptance",
             [](SharedEngine& self) {
                 const auto [chosen, drawn] = self.with([](Engine& engine) {
                     return std::pair(engine.acceptance().numbers(),
                                      engine.acceptance_of_drawn().numbers());
                 });
                 return py::make_tuple(to_array(chosen), to_array(drawn));
             })
        .def(
            "set_acceptance",
            [](SharedEngine& self, const Array<double>& chosen, const Array<double>& drawn) {
                const auto given = std::pair(view(chosen), view(drawn));
                self.with([&](Engine& engine) {
                    AcceptanceMap first, second;  // both or none
                    first.set(given.first);
                    second.set(given.second);
                    engine.acceptance() = std::move(first);
                    engine.acceptance_of_drawn() = std::move(second);
                });
            },
            py::arg("chosen").noconvert(), py::arg("drawn").noconvert())
        .def("totals", [](SharedEngine& self) {
            const auto totals = self.with([](Engine& engine) { return engine.totals(); });
            return py::make_tuple(totals.steps, totals.drafted, totals.accepted, totals.written,
                                  totals.expected);
        });
}
