<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_orders\Form;

use Drupal\Core\Form\ConfigFormBase;
use Drupal\Core\Form\FormStateInterface;

/**
 * What customers read, and what a dispute does.
 */
class SettingsForm extends ConfigFormBase {

  /**
   * {@inheritdoc}
   */
  public function getFormId(): string {
    return 'commerce_waybill_orders_settings';
  }

  /**
   * {@inheritdoc}
   */
  protected function getEditableConfigNames(): array {
    return ['commerce_waybill_orders.settings'];
  }

  /**
   * {@inheritdoc}
   */
  public function buildForm(array $form, FormStateInterface $form_state): array {
    $settings = $this->config('commerce_waybill_orders.settings');
    $form['hold_on_dispute'] = [
      '#type' => 'checkbox',
      '#title' => $this->t('Hold the fulfilment while a dispute is open'),
      '#default_value' => $settings->get('hold_on_dispute'),
    ];
    $form['keep_calls'] = [
      '#type' => 'number',
      '#title' => $this->t('Days that answered calls are remembered'),
      '#description' => $this->t('Longer than the middleware repeats a call: a repeated call that was forgotten is done again.'),
      '#min' => 7,
      '#max' => 3650,
      '#default_value' => $settings->get('keep_calls'),
    ];
    $form['messages'] = [
      '#type' => 'details',
      '#open' => TRUE,
      '#tree' => TRUE,
      '#title' => $this->t('What customers read'),
      '#description' => $this->t('Shown with the order. Without a text, nothing is shown.'),
    ];
    foreach ($this->situations() as $name => $title) {
      $form['messages'][$name] = [
        '#type' => 'textfield',
        '#title' => $title,
        '#maxlength' => 255,
        '#default_value' => $settings->get("messages.$name"),
      ];
    }
    return parent::buildForm($form, $form_state);
  }

  /**
   * {@inheritdoc}
   */
  public function submitForm(array &$form, FormStateInterface $form_state): void {
    $this->config('commerce_waybill_orders.settings')
      ->set('hold_on_dispute', (bool) $form_state->getValue('hold_on_dispute'))
      ->set('keep_calls', (int) $form_state->getValue('keep_calls'))
      ->set('messages', array_map('trim', $form_state->getValue('messages')))
      ->save();
    parent::submitForm($form, $form_state);
  }

  /**
   * Names the situations.
   */
  private function situations(): array {
    return [
      'received' => $this->t('The order is placed'),
      'payment_pending' => $this->t('A payment is not confirmed yet'),
      'paid_preparing' => $this->t('The order is paid'),
      'under_review' => $this->t('The fulfilment is held'),
      'partially_shipped' => $this->t('A part was sent'),
      'on_its_way' => $this->t('Everything was sent'),
      'delivered' => $this->t('Everything was delivered'),
      'completed' => $this->t('The order is completed and nothing was sent'),
      'refunded' => $this->t('Everything was refunded'),
      'cancelled' => $this->t('The order is cancelled'),
    ];
  }

}
