// Predictor and Sampler for codes of 8, 16 and 32 bits: estimators over a context that moves. The
// live text and the fit of discounts, for the layer above.
#include <cmath>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "infgram/calibration.hpp"
#include "infgram/context.hpp"
#include "infgram/kneser_ney.hpp"
#include "infgram/sampler.hpp"
#include "infgram/sbis.hpp"
#include "owned.hpp"
#include "random.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

using SharedModel = std::shared_ptr<const KneserNeyModel>;
using Parameters = std::variant<SbisParameters, SharedModel>;

template <class Code>
using AnyEstimator = std::variant<Sbis<Code>, KneserNey<Code>>;

template <class Code>
AnyEstimator<Code> make_estimator(const Parameters& parameters, std::uint32_t n_codes) {
    if (const auto* sbis = std::get_if<SbisParameters>(&parameters))
        return Sbis<Code>(*sbis, n_codes);
    return KneserNey<Code>(std::get<SharedModel>(parameters), n_codes);
}

std::optional<LiveText> make_live(const Parameters& parameters, std::uint32_t max_tokens,
                                  std::uint32_t window) {
    if (max_tokens == 0) return std::nullopt;
    const auto* model = std::get_if<SharedModel>(&parameters);
    if (model != nullptr && !(*model)->live)
        throw InvalidParameter("these discounts were fitted without a live text");
    return LiveText(model != nullptr ? (*model)->power : FixedPower(0.0), max_tokens,
                    std::min(window, LiveText::model_window));
}

template <class Code>
class AnySampler {
public:
    AnySampler(Owner<Code> owner, const Context<Code>& context, const Parameters& parameters,
               const SamplingParameters& sampling, const py::object& bit_generator)
        : owner_(std::move(owner)),
          bit_generator_(bit_generator),
          sampler_(std::visit(
              [&](auto&& estimator) -> Any {
                  using Estimator = std::decay_t<decltype(estimator)>;
                  return Sampler<Code, Estimator>(context, std::move(estimator), sampling);
              },
              make_estimator<Code>(parameters, context.n_codes()))) {
        uniform_ = uniform_of(bit_generator);
    }

    // Draws up to n tokens; fewer only where a text ends, whose end is not among them, or where a
    // copy limit leaves no token. (token_ids, ended): ended is "", "end_of_text" or "max_copy".
    py::tuple sample(std::size_t n) {
        std::vector<std::uint32_t> token_ids;
        const char* ended = "";
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            token_ids.reserve(n);
            const Alphabet& alphabet = owner_->index.alphabet();
            std::visit(
                [&](auto& sampler) {
                    if (sampler.keeps_first())
                        sampler.borrow(owner_->neighbours.after(owner_->index.shards(), n));
                    while (token_ids.size() < n) {
                        const std::uint32_t code = sampler(uniform_);
                        if (code == boundary || code == Alphabet::unknown) {
                            ended = code == boundary ? "end_of_text" : "max_copy";
                            break;
                        }
                        token_ids.push_back(alphabet.token_id(code));
                    }
                },
                sampler_);
        }
        return py::make_tuple(to_array(token_ids), ended);
    }

private:
    using Any = std::variant<Sampler<Code, Sbis<Code>>, Sampler<Code, KneserNey<Code>>>;

    Owner<Code> owner_;
    py::object bit_generator_;  // its capsule does not keep it alive
    Any sampler_;
    Uniform uniform_{};
    std::mutex mutex_;
};

template <class Code>
class Predictor {
public:
    Predictor(const Cursor<Code>& cursor, Parameters parameters, std::uint32_t live_tokens)
        : owner_(cursor.owner()),
          parameters_(std::move(parameters)),
          context_(owner_->index.shards(), cursor.chains(), cursor.window(),
                   make_live(parameters_, live_tokens, cursor.window())),
          estimator_(make_estimator<Code>(parameters_, context_.n_codes())) {
        weights_.of.assign(context_.n_codes(), 0.0);
    }

    template <class Token>
    void read(std::span<const Token> tokens) {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        for (const Token token : tokens) context_.read(code(token));
    }

    // Reads the tokens; before each, its log probability and the longest level of the corpus:
    // (log_prob, n, m).
    template <class Token>
    py::tuple score(std::span<const Token> tokens) {
        std::vector<double> log_prob(tokens.size());
        std::vector<std::uint32_t> n(tokens.size());
        std::vector<std::int64_t> m(tokens.size());
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            std::visit(
                [&](auto& estimator) {
                    for (std::size_t i = 0; i < tokens.size(); ++i) {
                        const std::uint32_t next = code(tokens[i]);
                        estimator.look(context_);
                        log_prob[i] =
                            std::log(next == Alphabet::unknown ? 0.0 : estimator.prob(next));
                        const IndexLevel level = longest();
                        n[i] = level.n;
                        m[i] = static_cast<std::int64_t>(level.m);
                        context_.read(next);
                    }
                },
                estimator_);
        }
        return py::make_tuple(to_array(log_prob), to_array(n), to_array(m));
    }

    // Reads the tokens; the distribution before each, of shape (n_tokens, n_codes).
    template <class Token>
    py::array_t<double> distributions(std::span<const Token> tokens) {
        const auto n_codes = static_cast<py::ssize_t>(context_.n_codes());
        py::array_t<double> matrix({static_cast<py::ssize_t>(tokens.size()), n_codes});
        double* row = matrix.mutable_data();
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            for (const Token token : tokens) {
                write_distribution(row);
                row += n_codes;
                context_.read(code(token));
            }
        }
        return matrix;
    }

    // The distribution of the next token, of shape (n_codes,).
    Array<double> distribution() {
        Array<double> probs(static_cast<py::ssize_t>(context_.n_codes()));
        double* row = probs.mutable_data();
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        write_distribution(row);
        return probs;
    }

    [[nodiscard]] std::unique_ptr<AnySampler<Code>> sampler(const SamplingParameters& sampling,
                                                            const py::object& generator) const {
        return std::make_unique<AnySampler<Code>>(owner_, context(), parameters_, sampling,
                                                  generator);
    }

private:
    [[nodiscard]] Context<Code> context() const {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        return context_;
    }
    [[nodiscard]] std::uint32_t code(std::uint32_t token_id) const {
        return owner_->index.alphabet().code(token_id);
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

    void write_distribution(double* row) {
        weights_.clear();
        std::visit(
            [&](auto& estimator) {
                estimator.look(context_);
                estimator.weigh(weights_);
            },
            estimator_);
        double total = 0.0;
        for (const std::uint32_t code : weights_.codes) total += weights_.of[code];
        for (const double weight : weights_.of) *row++ = weight / total;
    }

    Owner<Code> owner_;
    Parameters parameters_;
    Context<Code> context_;
    AnyEstimator<Code> estimator_;
    Weights weights_;
    std::vector<Range> ranges_;
    mutable std::mutex mutex_;
};

template <class Token, class Code>
void bind_reading(py::class_<Predictor<Code>>& predictor) {
    predictor.def(
        "read", [](Predictor<Code>& self, const Array<Token>& tokens) { self.read(view(tokens)); },
        py::arg("tokens").noconvert());
    predictor.def(
        "score",
        [](Predictor<Code>& self, const Array<Token>& tokens) { return self.score(view(tokens)); },
        py::arg("tokens").noconvert());
    predictor.def(
        "distributions",
        [](Predictor<Code>& self, const Array<Token>& tokens) {
            return self.distributions(view(tokens));
        },
        py::arg("tokens").noconvert());
}

constexpr std::size_t sampling_cache_bytes = std::size_t{1} << 28;

// Leaves blocks of the index's text out, one after another, and fits discounts to them: (tables,
// nats, tables with a live text, nats with it, n_tokens).
template <class Code>
py::tuple fit(const Owner<Code>& owner, double exponent, const Array<std::uint32_t>& blocks,
              std::uint32_t guard, int n_steps, double pull, unsigned n_threads) {
    const auto flat = view(blocks);
    const auto shards = owner->index.shards();
    if (flat.size() % 3 != 0) throw InvalidParameter("blocks come as three numbers");
    std::vector<Block> all;
    for (std::size_t i = 0; i < flat.size(); i += 3) {
        const Block block{flat[i], flat[i + 1], flat[i + 2]};
        if (block.shard >= shards.size() || block.begin == 0 || block.begin >= block.end ||
            block.end > shards[block.shard].n_rows())
            throw InvalidParameter("a block lies outside its shard");
        all.push_back(block);
    }
    Fit corpus;
    Fit adapting;
    std::size_t n_tokens = 0;
    {
        const py::gil_scoped_release release;
        const Discounts any(std::vector<double>(std::size_t{3} * n_discount_rows, 0.0));
        std::uint64_t n_rows = 0;
        for (const auto& shard : shards) n_rows += shard.n_rows();
        const auto model = std::make_shared<const KneserNeyModel>(
            FixedPower(exponent), any, std::optional(any), n_rows, sampling_cache_bytes);
        const BlockSamples samples = sample_blocks<Code>(shards, model, all, guard, n_threads);
        n_tokens = samples.corpus.offsets.size() - 1;
        auto other =
            in_background([&] { return fit_discounts(samples.adapting, true, n_steps, pull); });
        corpus = fit_discounts(samples.corpus, false, n_steps, pull);
        adapting = other.get();
    }
    return py::make_tuple(to_array(corpus.tables), corpus.nats, to_array(adapting.tables),
                          adapting.nats, n_tokens);
}

template <class Code>
void bind_width(py::module_& m, const std::string& bits) {
    py::class_<AnySampler<Code>> sampler(m, ("Sampler" + bits).c_str());
    py::class_<Predictor<Code>> predictor(m, ("Predictor" + bits).c_str());
    predictor.def(py::init([](const Cursor<Code>& cursor, int k, double decay, bool normalise,
                              double floor, std::uint32_t live_tokens) {
                      return std::make_unique<Predictor<Code>>(
                          cursor, SbisParameters{k, decay, normalise, floor}, live_tokens);
                  }),
                  py::arg("cursor"), py::kw_only(), py::arg("k"), py::arg("decay"),
                  py::arg("normalise"), py::arg("floor"), py::arg("live_tokens"));
    predictor.def(py::init([](const Cursor<Code>& cursor, std::shared_ptr<KneserNeyModel> model,
                              std::uint32_t live_tokens) {
                      return std::make_unique<Predictor<Code>>(
                          cursor, SharedModel(std::move(model)), live_tokens);
                  }),
                  py::arg("cursor"), py::kw_only(), py::arg("model"), py::arg("live_tokens"));
    bind_reading<std::uint8_t>(predictor);
    bind_reading<std::uint32_t>(predictor);
    predictor.def("distribution", &Predictor<Code>::distribution);
    predictor.def(
        "sampler",
        [](const Predictor<Code>& self, double temperature, std::uint32_t top_k, double top_p,
           double min_p, std::uint32_t max_copy, const py::object& bit_generator) {
            return self.sampler({temperature, top_k, top_p, min_p, max_copy}, bit_generator);
        },
        py::kw_only(), py::arg("temperature"), py::arg("top_k"), py::arg("top_p"), py::arg("min_p"),
        py::arg("max_copy"), py::arg("bit_generator"));
    sampler.def("sample", &AnySampler<Code>::sample, py::arg("n"));
    m.def("fit_discounts", &fit<Code>, py::arg("index"), py::kw_only(), py::arg("exponent"),
          py::arg("blocks").noconvert(), py::arg("guard"), py::arg("n_steps"), py::arg("pull"),
          py::arg("n_threads"));
}

void bind_live(py::module_& m) {
    py::class_<LiveText>(m, "LiveText")
        .def(py::init([](double exponent, std::uint32_t max_tokens, std::uint32_t window) {
                 return std::make_unique<LiveText>(FixedPower(exponent), max_tokens,
                                                   std::min(window, LiveText::model_window));
             }),
             py::kw_only(), py::arg("exponent"), py::arg("max_tokens"), py::arg("window"))
        .def(
            "read",
            [](LiveText& self, const Array<std::uint32_t>& codes) {
                for (const std::uint32_t code : view(codes))
                    code == Alphabet::unknown ? self.separate() : self.read(code);
            },
            py::arg("codes").noconvert())
        .def("levels",
             [](const LiveText& self) {
                 py::list levels;
                 for (std::size_t i = self.levels().size(); i-- > 0 && !self.empty();)
                     levels.append(py::make_tuple(self.levels()[i].n, self.m(self.levels()[i])));
                 return levels;
             })
        .def(
            "continuations",
            [](const LiveText& self, std::size_t level) {
                if (level >= self.levels().size()) throw InvalidParameter("there is no such level");
                std::vector<std::uint32_t> codes;
                std::vector<std::uint32_t> raw;
                std::vector<std::uint32_t> contexts;
                std::vector<double> counts;
                self.for_each_token(self.levels()[self.levels().size() - 1 - level],
                                    [&](const Continuation& token, std::uint32_t n) {
                                        codes.push_back(token.code);
                                        raw.push_back(n);
                                        contexts.push_back(token.contexts);
                                        counts.push_back(token.count);
                                    });
                return py::make_tuple(to_array(codes), to_array(raw), to_array(contexts),
                                      to_array(counts));
            },
            py::arg("level"));
}

}  // namespace

void bind_model(py::module_& m) {
    m.attr("max_context") = max_context;
    m.attr("n_discounts") = 3 * n_discount_rows;
    m.def("textbook_discounts", [] { return to_array(same_discounts(textbook_log_odds)); });
    py::class_<KneserNeyModel, std::shared_ptr<KneserNeyModel>>(m, "KneserNeyModel")
        .def(py::init([](double exponent, const Array<double>& corpus,
                         const std::optional<Array<double>>& live, std::uint64_t n_rows,
                         std::size_t cache_bytes) {
                 return std::make_shared<KneserNeyModel>(
                     FixedPower(exponent), Discounts(view(corpus)),
                     live ? std::optional(Discounts(view(*live))) : std::nullopt, n_rows,
                     cache_bytes);
             }),
             py::kw_only(), py::arg("exponent"), py::arg("corpus").noconvert(), py::arg("live"),
             py::arg("n_rows"), py::arg("cache_bytes"))
        .def(
            "discount",
            [](const KneserNeyModel& self, bool live, std::uint32_t n, std::uint32_t n_shorter,
               std::uint32_t n_types, std::uint32_t n_types_shorter, std::uint64_t m,
               std::uint32_t n_corpus, std::uint32_t n_live, bool single) {
                const LevelShape shape{n, n_shorter, n_types, n_types_shorter,
                                       m, n_corpus,  n_live,  single};
                if (live && !self.live)
                    throw InvalidParameter("these discounts were fitted without a live text");
                return (live ? *self.live : self.corpus)(discount_rows(shape));
            },
            py::kw_only(), py::arg("live"), py::arg("n"), py::arg("n_shorter"), py::arg("n_types"),
            py::arg("n_types_shorter"), py::arg("m"), py::arg("n_corpus"), py::arg("n_live"),
            py::arg("single"));
    bind_live(m);
    bind_width<std::uint8_t>(m, "8");
    bind_width<std::uint16_t>(m, "16");
    bind_width<std::uint32_t>(m, "32");
}
